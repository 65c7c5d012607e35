package command

// DUMP and RESTORE.

func dumpRows() []Row { return nil }
