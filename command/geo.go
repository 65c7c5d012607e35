package command

// Geospatial indexes (https://redis.io/commands/?group=geo).

func geoRows() []Row { return nil }
