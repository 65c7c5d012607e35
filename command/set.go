package command

// Sets (https://redis.io/commands/?group=set).

func setRows() []Row { return nil }
