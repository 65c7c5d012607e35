package command

func keyRows() []Row { return nil }
