package store

import (
	"encoding/binary"
	"unsafe"
)

// shelf holds the messages of a queue by number. Numbers are given in turn, so
// a sheet names the messages of consecutive ones, and no hash is needed: what
// is published, taken or done with stands beside what was before it. The bytes
// are elements of a table whose index is not used.
type shelf struct {
	log    *table
	sheets map[uint64]*sheet
	near   [nearSheets]*sheet // used last, by number
	count  int
}

type sheet struct {
	number uint64
	live   int
	elems  [sheetNumbers]elem
}

const (
	sheetNumbers = 32 // few: a message that stays behind keeps its sheet
	nearSheets   = 8
	sheetBytes   = int64(unsafe.Sizeof(sheet{})) + 24 // with its place in the map
	seqBytes     = 8                                  // of an element's key
)

func newShelf(s *Store) shelf { return shelf{log: newTable(s), sheets: make(map[uint64]*sheet)} }

func (s *shelf) len() int { return s.count }

func (s *shelf) bytes() int64 { return s.log.bytes() + int64(len(s.sheets))*sheetBytes }

func (s *shelf) release() {
	s.log.release()
	*s = shelf{log: s.log}
}

// sheetOf returns the sheet that names a message; nil if there is none.
func (s *shelf) sheetOf(seq uint64) *sheet {
	n := seq / sheetNumbers
	p := s.near[n%nearSheets]
	if p == nil || p.number != n {
		if p = s.sheets[n]; p != nil {
			s.near[n%nearSheets] = p
		}
	}
	return p
}

// find returns the bytes of a message, which are valid until the shelf next
// changes; nil if there is none.
func (s *shelf) find(seq uint64) []byte {
	if p := s.sheetOf(seq); p != nil {
		if e := p.elems[seq%sheetNumbers]; e != 0 {
			return s.log.value(e)
		}
	}
	return nil
}

// add makes room for the bytes of a message that is not there yet, and returns
// it to be filled in before the shelf next changes.
func (s *shelf) add(seq uint64, size int) []byte {
	s.reclaim()
	p := s.sheetOf(seq)
	if p == nil {
		p = &sheet{number: seq / sheetNumbers}
		s.sheets[p.number] = p
		s.near[p.number%nearSheets] = p
	}
	e := s.log.reserve(unitsOf(seqBytes, size))
	p.elems[seq%sheetNumbers] = e
	p.live++
	s.count++
	at := s.log.at(e)
	*(*byte)(at) = seqBytes
	binary.BigEndian.PutUint64((*[1 + seqBytes]byte)(at)[1:], seq)
	return unsafe.Slice((*byte)(unsafe.Add(at, 1+seqBytes+putLength(unsafe.Add(at, 1+seqBytes), size))), size)
}

// remove removes a message, if it is there.
func (s *shelf) remove(seq uint64) {
	p := s.sheetOf(seq)
	if p == nil || p.elems[seq%sheetNumbers] == 0 {
		return
	}
	s.log.bury(p.elems[seq%sheetNumbers])
	p.elems[seq%sheetNumbers] = 0
	s.count--
	if p.live--; p.live == 0 {
		delete(s.sheets, p.number)
		s.near[p.number%nearSheets] = nil
	}
	s.reclaim()
}

// each visits every message, in the order of memory, until visit returns false.
func (s *shelf) each(visit func(seq uint64, b []byte) bool) {
	s.log.each(func(e elem) bool { return visit(binary.BigEndian.Uint64(s.log.key(e)), s.log.value(e)) })
}

// reclaim is table.reclaim for elements that sheets name.
func (s *shelf) reclaim() {
	t := s.log
	if t.victim == 0 && !t.findVictim() {
		return
	}
	for budget := tableMoves; budget > 0 && t.victim != 0 && t.swept < t.segs[t.victim].used; {
		from := elem(t.victim<<placeBits | t.swept)
		n := units(t.at(from))
		t.swept += n
		if *(*byte)(t.at(from)) == deadMark {
			continue
		}
		budget--
		seq := binary.BigEndian.Uint64(t.key(from))
		to := t.reserve(n)
		copy(unsafe.Slice((*byte)(t.at(to)), n*elemUnit), unsafe.Slice((*byte)(t.at(from)), n*elemUnit))
		s.sheetOf(seq).elems[seq%sheetNumbers] = to
		t.bury(from)
	}
}
