"""The routes of OpenAI's API that clients of chats ask."""
