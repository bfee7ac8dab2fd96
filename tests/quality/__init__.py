"""What the shipped pack does, measured: lips, life, hours. Each is a command, tried for seconds by a test."""
