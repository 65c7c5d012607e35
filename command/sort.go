package command

// SORT and SORT_RO.

func sortRows() []Row { return nil }
