"""Where speech comes from: ZeroMQ clients, audio files, the microphone."""
