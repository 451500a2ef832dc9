"""What a pickle would do, read from its opcodes; nothing here loads one."""
