"""Text to speech: a second pipeline beside genvideo, on the same slot."""
