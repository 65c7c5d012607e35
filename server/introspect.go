package server

func introspectRows() []Row { return nil }
