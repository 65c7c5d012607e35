package resp

const reservedFiles = 64

func limitFiles(uint64) {}
