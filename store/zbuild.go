package store

// ZBuilder collects members and scores, in any order, for a sorted set that is
// stored whole or only read once.
type ZBuilder struct {
	tx  *Tx
	set *sortedSet
}

// NewZBuilder returns an empty builder; Store or Each ends it.
func (tx *Tx) NewZBuilder() *ZBuilder { return &ZBuilder{tx, newSortedSet(tx.store)} }

// Len returns the number of members.
func (b *ZBuilder) Len() int { return b.set.Len() }

// Score returns the score of a member; false if there is no such member.
func (b *ZBuilder) Score(member []byte) (float64, bool) { return b.set.score(member) }

// Put adds a member or replaces its score.
func (b *ZBuilder) Put(member []byte, score float64) {
	b.Remove(member)
	b.set.insert(member, score)
}

// Remove removes a member if it is there.
func (b *ZBuilder) Remove(member []byte) { b.set.remove(member) }

// Each visits the members in the order of a sorted set until visit returns
// false.
func (b *ZBuilder) Each(visit func(member []byte, score float64) bool) {
	b.set.byRank(0, b.Len(), false, visit)
}

// Store makes the members the value of key, whatever it was, without an expiry,
// and returns how many there are. If there are none, key is removed.
func (b *ZBuilder) Store(key []byte) int {
	n := b.Len()
	if n == 0 {
		b.tx.Delete(key)
		return 0
	}
	b.tx.put(key, b.value(), 0)
	return n
}

// value returns the set in the form that its size asks for.
func (b *ZBuilder) value() value {
	p := b.tx.packing()
	v := value{kind: KindZSet}
	b.set.named = b.Len() > p.ZSetEntries
	b.Each(func(member []byte, _ float64) bool {
		b.set.named = b.set.named || len(member) > p.ZSetValue
		return !b.set.named
	})
	if b.set.packs() {
		v.bytes = b.set.packed()
	} else {
		v.object = b.set
	}
	return v
}
