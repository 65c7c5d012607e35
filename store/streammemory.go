package store

// streamMemory is the memory of a stream's parts, outside the Go heap, and
// what they take together.
type streamMemory struct {
	blocks blocks
	held   int64 // bytes, those of the parts' own structures included
}

// alloc returns at least n bytes.
func (m *streamMemory) alloc(n int) piece {
	p := m.blocks.alloc(n)
	m.held += int64(p.n)
	return p
}

func (m *streamMemory) free(p piece) {
	m.held -= int64(p.n)
	m.blocks.free(p)
}
