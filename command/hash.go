package command

// Hashes (https://redis.io/commands/?group=hash).

func hashRows() []Row { return nil }
