package command

func stringRows() []Row { return nil }
