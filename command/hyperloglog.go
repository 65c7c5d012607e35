package command

// HyperLogLog (https://redis.io/commands/?group=hyperloglog).

func hyperloglogRows() []Row { return nil }
