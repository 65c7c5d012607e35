package journal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"strconv"
)

// An increment is a file of RESP commands. Ours begins with a line that names a
// random key, and what is written at once is a batch between two lines:
//
//	#SYNAP:1:<key>
//	#BATCH:<bytes of commands>
//	…
//	#CRC:<checksum>:<sequence of the last unit>:<bytes of the file that were synced before>
//
// A Redis passes over lines that begin with #. The checksum is CRC-32C of the
// key and everything from #BATCH on, so no value that a client stores can look
// like a batch. The synced size tells damage from what a power cut took.
const (
	fileLine   = "#SYNAP:1:" // then 16 hexadecimal digits
	batchLine  = "#BATCH:"   // then 10 decimal digits
	crcLine    = "#CRC:"     // then 8 hexadecimal digits
	fileHead   = len(fileLine) + 16 + 2
	batchHead  = len(batchLine) + 10 + 2
	crcLineMax = 64
	lineMax    = 1024 // of a line that begins with #, in a Redis
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// The channel that carries what a Redis does not know, and the version of what
// is in its messages.
const (
	ownChannel = "__synap__:journal"
	ownVersion = 1
)

func appendCommand(dst []byte, args ...[]byte) []byte {
	dst = append(strconv.AppendInt(append(dst, '*'), int64(len(args)), 10), "\r\n"...)
	for _, a := range args {
		dst = appendBulk(dst, a)
	}
	return dst
}

func appendBulk(dst, b []byte) []byte {
	dst = append(strconv.AppendInt(append(dst, '$'), int64(len(b)), 10), "\r\n"...)
	return append(append(dst, b...), "\r\n"...)
}

// AppendRecord appends a command as it stands in a log outside of batches; own
// says that a Redis does not know it.
func AppendRecord(dst []byte, own bool, args ...[]byte) []byte {
	if own {
		return appendOwn(dst, &Record{Args: args})
	}
	return appendCommand(dst, args...)
}

// appendOwn appends a record that a Redis does not know, as PUBLISH.
func appendOwn(dst []byte, r *Record) []byte {
	text := []byte{ownVersion}
	text = binary.AppendUvarint(text, uint64(r.Covers))
	text = binary.AppendUvarint(text, uint64(len(r.Args)))
	for _, a := range r.Args {
		text = append(binary.AppendUvarint(text, uint64(len(a))), a...)
	}
	return appendCommand(dst, []byte("PUBLISH"), []byte(ownChannel), text)
}

// parseOwn reads the message that appendOwn made.
func parseOwn(b []byte) (args [][]byte, covers int, ok bool) {
	if len(b) == 0 || b[0] != ownVersion {
		return nil, 0, false
	}
	b = b[1:]
	number := func() uint64 {
		n, k := binary.Uvarint(b)
		if k <= 0 || n > 1<<31 {
			b = nil
			return 0
		}
		b = b[k:]
		return n
	}
	covers = int(number())
	for n := number(); n > 0; n-- {
		size := number()
		if size > uint64(len(b)) || b == nil {
			return nil, 0, false
		}
		args = append(args, b[:size:size])
		b = b[size:]
	}
	return args, covers, len(args) > 0 && len(b) == 0
}

// What can be wrong with the bytes at a place of a file.
var (
	errShort = errors.New("the file ends within it")
	errBytes = errors.New("these bytes are no command")
	errCRC   = errors.New("the checksum is wrong")
)

// parseCommand reads one command at the front of b, into args, and returns its
// length.
func parseCommand(b []byte, args [][]byte) ([][]byte, int, error) {
	count, at, err := parseHeader(b, 0, '*')
	if err == nil && count == 0 {
		err = errBytes
	}
	for ; err == nil && count > 0; count-- {
		var size int
		if size, at, err = parseHeader(b, at, '$'); err != nil {
			break
		}
		if size > len(b)-at-2 {
			return nil, 0, errShort
		}
		args = append(args, b[at:at+size:at+size])
		if at += size; b[at] != '\r' || b[at+1] != '\n' {
			return nil, 0, errBytes
		}
		at += 2
	}
	return args, at, err
}

// parseHeader reads a line of a mark and a number, at most of 31 bits.
func parseHeader(b []byte, at int, mark byte) (n, next int, err error) {
	if at >= len(b) {
		return 0, 0, errShort
	}
	if b[at] != mark {
		return 0, 0, errBytes
	}
	for i := at + 1; i < len(b); i++ {
		switch c := b[i]; {
		case c >= '0' && c <= '9' && i-at <= 10:
			n = n*10 + int(c-'0')
		case c == '\r' && i > at+1:
			if i+1 == len(b) {
				return 0, 0, errShort
			}
			if b[i+1] != '\n' || n >= 1<<31 {
				return 0, 0, errBytes
			}
			return n, i + 2, nil
		default:
			return 0, 0, errBytes
		}
	}
	return 0, 0, errShort
}

// batch is one batch of a file of ours.
type batch struct {
	body   []byte
	size   int // with both lines
	seq    uint64
	synced int64
}

// parseBatch reads and checks the batch at the front of b.
func parseBatch(b, key []byte) (batch, error) {
	if len(b) < batchHead {
		return batch{}, errShort
	}
	n, err := strconv.ParseUint(string(b[len(batchLine):batchHead-2]), 10, 40)
	if !bytes.HasPrefix(b, []byte(batchLine)) || err != nil || string(b[batchHead-2:batchHead]) != "\r\n" {
		return batch{}, errBytes
	}
	if n > uint64(len(b)-batchHead) {
		return batch{}, errShort
	}
	end := batchHead + int(n)
	line, _, ok := bytes.Cut(b[end:min(len(b), end+crcLineMax)], []byte("\r\n"))
	if !ok {
		return batch{}, errShort
	}
	fields := bytes.Split(line, []byte{':'})
	if len(fields) != 4 || string(fields[0])+":" != crcLine {
		return batch{}, errBytes
	}
	sum, err1 := strconv.ParseUint(string(fields[1]), 16, 32)
	seq, err2 := strconv.ParseUint(string(fields[2]), 10, 64)
	synced, err3 := strconv.ParseInt(string(fields[3]), 10, 64)
	if err := errors.Join(err1, err2, err3); err != nil {
		return batch{}, errBytes
	}
	if checksum(key, b[:end], seq, synced) != uint32(sum) {
		return batch{}, errCRC
	}
	return batch{b[batchHead:end], end + len(line) + 2, seq, synced}, nil
}

// checksum covers the numbers of the closing line too.
func checksum(key, b []byte, seq uint64, synced int64) uint32 {
	var numbers [16]byte
	binary.LittleEndian.PutUint64(numbers[:], seq)
	binary.LittleEndian.PutUint64(numbers[8:], uint64(synced))
	sum := crc32.Update(crc32.Update(0, castagnoli, key), castagnoli, b)
	return crc32.Update(sum, castagnoli, numbers[:])
}

// closeBatch completes a batch whose commands stand behind room for the first
// line.
func closeBatch(b, key []byte, seq uint64, synced int64) []byte {
	head := strconv.AppendInt(append(make([]byte, 0, batchHead+10), batchLine+"0000000000"...), int64(len(b)-batchHead), 10)
	digits := head[len(batchLine)+10:]
	copy(b, batchLine+"0000000000\r\n")
	copy(b[batchHead-2-len(digits):], digits)
	sum := checksum(key, b, seq, synced)
	b = append(b, crcLine...)
	for shift := 28; shift >= 0; shift -= 4 {
		b = append(b, "0123456789abcdef"[sum>>shift&15])
	}
	b = strconv.AppendUint(append(b, ':'), seq, 10)
	b = strconv.AppendInt(append(b, ':'), synced, 10)
	return append(b, "\r\n"...)
}
