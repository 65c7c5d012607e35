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
	byName   map[string]*topic
	byPrefix map[string][]*topic
	lengths  []prefixLength // those in use, ascending
}

// prefixLength counts the patterns whose prefix has n bytes.
type prefixLength struct{ n, patterns int }

// maxPrefix bounds the prefixes, and so the look-ups for one message.
const maxPrefix = 32

func newPatternIndex() patternIndex {
	return patternIndex{byName: make(map[string]*topic), byPrefix: make(map[string][]*topic)}
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
	t := x.byName[string(name)]
	if t == nil {
		t = &topic{name: string(name), pattern: bytes.Clone(name)}
		x.byName[t.name] = t
		prefix := literalPrefix(name)
		t.pos = len(x.byPrefix[string(prefix)])
		x.byPrefix[string(prefix)] = append(x.byPrefix[string(prefix)], t)
		x.count(len(prefix), +1)
		x.n.Add(1)
	}
	return t.add(s)
}

func (x *patternIndex) remove(sn *subscription) {
	x.mu.Lock()
	defer x.mu.Unlock()
	t := sn.topic
	if t.remove(sn) {
		return
	}
	delete(x.byName, t.name)
	prefix := literalPrefix(t.pattern)
	list := x.byPrefix[string(prefix)]
	last := len(list) - 1
	list[t.pos], list[last].pos = list[last], t.pos
	list[last] = nil
	if last == 0 {
		delete(x.byPrefix, string(prefix))
	} else {
		x.byPrefix[string(prefix)] = list[:last]
	}
	x.count(len(prefix), -1)
	x.n.Add(-1)
}

// count adds delta to the number of patterns with a prefix of n bytes.
func (x *patternIndex) count(n, delta int) {
	i, found := slices.BinarySearchFunc(x.lengths, n, func(l prefixLength, n int) int { return l.n - n })
	if !found {
		x.lengths = slices.Insert(x.lengths, i, prefixLength{n: n})
	}
	if x.lengths[i].patterns += delta; x.lengths[i].patterns == 0 {
		x.lengths = slices.Delete(x.lengths, i, i+1)
	}
}

// each visits the patterns that may match channel. mu is held.
func (x *patternIndex) each(channel []byte, visit func(t *topic)) {
	for _, l := range x.lengths {
		if l.n > len(channel) {
			return
		}
		for _, t := range x.byPrefix[string(channel[:l.n])] {
			visit(t)
		}
	}
}
