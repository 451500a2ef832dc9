"""What describes a server: its page and its OpenAPI document."""
