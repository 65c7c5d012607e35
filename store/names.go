package store

import (
	"slices"
	"strings"
)

// names is a set of things by name. Those that came last stand apart, so that
// many in any order cost little each. The zero value is empty.
type names[T interface{ Name() string }] struct {
	sorted []T
	recent []T // sorted too, recentNames at most
}

const recentNames = 512

func (n *names[T]) len() int { return len(n.sorted) + len(n.recent) }

// all returns the things by name.
func (n *names[T]) all() []T {
	if len(n.recent) == 0 {
		return n.sorted
	}
	i, j := len(n.sorted)-1, len(n.recent)-1
	n.sorted = append(n.sorted, n.recent...)
	for to := len(n.sorted) - 1; j >= 0; to-- {
		if i >= 0 && n.sorted[i].Name() > n.recent[j].Name() {
			n.sorted[to] = n.sorted[i]
			i--
			continue
		}
		n.sorted[to] = n.recent[j]
		j--
	}
	clear(n.recent)
	n.recent = n.recent[:0]
	return n.sorted
}

func placeOf[T interface{ Name() string }](in []T, name []byte) (int, bool) {
	return slices.BinarySearchFunc(in, name, func(v T, name []byte) int { return strings.Compare(v.Name(), string(name)) })
}

// get returns the thing of the given name, the zero T if there is none.
func (n *names[T]) get(name []byte) (v T) {
	if i, ok := placeOf(n.sorted, name); ok {
		return n.sorted[i]
	}
	if i, ok := placeOf(n.recent, name); ok {
		return n.recent[i]
	}
	return v
}

// add adds a thing whose name is not there.
func (n *names[T]) add(v T) {
	k := len(n.sorted)
	if len(n.recent) == 0 && (k == 0 || n.sorted[k-1].Name() < v.Name()) {
		n.sorted = append(n.sorted, v)
		return
	}
	if len(n.recent) == recentNames {
		n.all()
	}
	i, _ := placeOf(n.recent, []byte(v.Name()))
	n.recent = slices.Insert(n.recent, i, v)
}

// remove takes the thing of a name out.
func (n *names[T]) remove(name []byte) {
	if i, ok := placeOf(n.recent, name); ok {
		n.recent = slices.Delete(n.recent, i, i+1)
	} else if i, ok := placeOf(n.sorted, name); ok {
		n.sorted = slices.Delete(n.sorted, i, i+1)
	}
}
