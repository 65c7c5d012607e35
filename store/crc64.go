package store

import "hash/crc64"

// jones is the table of CRC-64/REDIS, the polynomial of David T. Jones
// (0xad93d23594c935a9, here reflected).
var jones = crc64.MakeTable(0x95ac9329ac4bc9b5)

// crc64Jones goes on with the checksum of Redis' files and payloads, which
// begins with 0. It is not inverted, as that of the standard library is.
func crc64Jones(crc uint64, b []byte) uint64 { return ^crc64.Update(^crc, jones, b) }
