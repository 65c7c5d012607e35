package server

import (
	"bytes"
	"slices"
	"sync"
	"sync/atomic"
)

// patternIndex finds the patterns that may match a channel by the letters in
// front of their first special character: with a pattern for each of many
// clients, as in user:1234:*, a message is not compared with all of them.
type patternIndex struct {
	n atomic.Int64 // patterns with at least one subscriber

	mu       sync.RWMutex // guards the fields below, and the subs of their topics
	byName   map[string]*pattern
	byPrefix map[string][]*pattern
	lengths  []prefixLength // those in use, ascending
}

// pattern is a topic whose name is a pattern.
type pattern struct {
	topic
	bytes []byte // the name
	pos   int    // place in its list of byPrefix
}

// prefixLength counts the patterns whose prefix has n bytes, or the prefixes of
// n bytes.
type prefixLength struct{ n, prefixes int }

// maxPrefix bounds the prefixes, and so the look-ups for one message.
const maxPrefix = 32

func newPatternIndex() patternIndex {
	return patternIndex{byName: make(map[string]*pattern), byPrefix: make(map[string][]*pattern)}
}

// literalPrefix returns the bytes with which every match of pattern begins.
func literalPrefix(pattern []byte) []byte {
	if i := bytes.IndexAny(pattern, `*?[\`); i >= 0 {
		pattern = pattern[:i]
	}
	return pattern[:min(len(pattern), maxPrefix)]
}

func (x *patternIndex) add(name []byte, s *subscriber) *subscription {
	x.mu.Lock()
	defer x.mu.Unlock()
	p := x.byName[string(name)]
	if p == nil {
		p = &pattern{topic: topic{name: string(name)}, bytes: bytes.Clone(name)}
		x.byName[p.name] = p
		prefix := string(literalPrefix(name))
		p.pos = len(x.byPrefix[prefix])
		x.byPrefix[prefix] = append(x.byPrefix[prefix], p)
		x.lengths = countLength(x.lengths, len(prefix), +1)
		x.n.Add(1)
	}
	return p.add(s)
}

func (x *patternIndex) remove(sn *subscription) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if sn.topic.remove(sn) {
		return
	}
	p := x.byName[sn.topic.name]
	delete(x.byName, p.name)
	prefix := string(literalPrefix(p.bytes))
	list := x.byPrefix[prefix]
	last := len(list) - 1
	list[p.pos], list[last].pos = list[last], p.pos
	list[last] = nil
	if last == 0 {
		delete(x.byPrefix, prefix)
	} else {
		x.byPrefix[prefix] = list[:last]
	}
	x.lengths = countLength(x.lengths, len(prefix), -1)
	x.n.Add(-1)
}

// countLength adds delta to the number of prefixes of n bytes.
func countLength(lengths []prefixLength, n, delta int) []prefixLength {
	i, found := slices.BinarySearchFunc(lengths, n, func(l prefixLength, n int) int { return l.n - n })
	if !found {
		lengths = slices.Insert(lengths, i, prefixLength{n: n})
	}
	if lengths[i].prefixes += delta; lengths[i].prefixes == 0 {
		lengths = slices.Delete(lengths, i, i+1)
	}
	return lengths
}

// each visits the patterns that may match channel. mu is held.
func (x *patternIndex) each(channel []byte, visit func(p *pattern)) {
	for _, l := range x.lengths {
		if l.n > len(channel) {
			return
		}
		for _, p := range x.byPrefix[string(channel[:l.n])] {
			visit(p)
		}
	}
}
