package command

// Bitmaps (https://redis.io/commands/?group=bitmap).

func bitmapRows() []Row { return nil }
