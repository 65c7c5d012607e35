package store

// Hash is a handle on the hash of a key: fields with a value each, some of them
// with a time at which they expire. It is valid until the next write in the
// key's shard that does not go through it. Fields whose time has come are
// absent.
//
// The methods that change the hash may be called several times; Done then
// records them as one change and removes a hash that has become empty.
type Hash struct {
	tx    *Tx
	key   []byte
	at    slot
	n     int  // fields stored, those included whose time has come
	live  bool // the key exists
	wrote bool // Done has something to record
	told  bool // the change that Done would record is in the list: the creation
	big   *largeHash
}

// A packed hash is a blob of the shard's arena:
//
//	1 byte     hashNamed, hashTimed
//	1 byte     fields
//	4 bytes    place in the shard's heap of hashes with deadlines, with hashTimed
//	fields and values by turns, with hashTimed each pair followed by the unix
//	milliseconds at which it expires or 0: elements of Redis' listpack
const (
	hashHead      = 2
	hashTimedHead = hashHead + 4
	hashPackedMax = 128 // fields: more would make looking for one slow
)

// The states of a hash, which stay for as long as it exists.
const (
	hashNamed = 1 << iota // OBJECT ENCODING calls it a hash table
	hashTimed             // fields have expired, or may
)

// HashOf returns a handle on key's hash. Its Len is 0 if key is absent: setting
// a field then creates it.
func (tx *Tx) HashOf(key []byte, a Access) (Hash, error) {
	var h Hash
	err := tx.OpenHash(&h, key, a)
	return h, err
}

// OpenHash is HashOf with a handle of the caller's, as OpenList.
func (tx *Tx) OpenHash(h *Hash, key []byte, a Access) error {
	h.tx, h.key = tx, key
	if h.at, h.live = tx.find(key, a); !h.live {
		return nil
	}
	if h.at.kind() != KindHash {
		h.live = false
		return ErrWrongType
	}
	h.load()
	return nil
}

func (h *Hash) open(s slot) {
	h.at, h.live = s, true
	h.load()
}

// load reads what stands at h.at.
func (h *Hash) load() {
	if o := h.at.object(); o != nil {
		h.big = o.(*largeHash)
		h.n = h.big.t.len()
		h.tx.Wide = h.n >= sizable
		return
	}
	h.big = nil
	h.n = int(h.at.value()[1])
}

// reopen finds the value again after a write that moved it.
func (h *Hash) reopen() {
	if s, ok := h.tx.find(h.key, Peek); ok {
		h.open(s)
	}
}

// Len returns the number of fields, 0 if the key is absent.
func (h *Hash) Len() int {
	if h.big != nil {
		return h.n - h.big.dueCount(h.tx.Now)
	}
	return h.n
}

// state returns hashNamed and hashTimed.
func (h *Hash) state() byte {
	switch {
	case !h.live:
		return 0
	case h.big != nil:
		return h.big.state
	}
	return h.tx.blob(h.at)[0]
}

// Encoding returns the name that OBJECT ENCODING gives the hash: that of Redis
// 7.2, or "listpackex" of Redis 7.4 once a field was given a time to live.
func (h *Hash) Encoding() string {
	switch state := h.state(); {
	case state&hashNamed != 0:
		return "hashtable"
	case state&hashTimed != 0:
		return "listpackex"
	}
	return "listpack"
}

// pairs returns the elements of a packed hash.
func (h *Hash) pairs() hashPairs {
	if !h.live {
		return hashPairs{}
	}
	return pairsOf(h.tx.blob(h.at))
}

// Get returns the value of a field; false if there is no such field. The bytes
// alias the store until the next write, or call of Get.
func (h *Hash) Get(field []byte) ([]byte, bool) {
	if h.big != nil {
		return h.big.get(field, h.tx.Now)
	}
	p := h.pairs()
	at := p.find(field)
	if at < 0 {
		return nil, false
	}
	return unpack(p.b[at+span(p.b[at:]):], &h.tx.number), true
}

// Each visits all fields until visit returns false. The bytes are valid during
// the visit.
func (h *Hash) Each(visit func(field, value []byte) bool) {
	if h.big != nil {
		h.big.each(h.tx.Now, visit)
		return
	}
	p := h.pairs()
	for at := 0; at < len(p.b); {
		value := at + span(p.b[at:])
		if !visit(unpack(p.b[at:], &h.tx.field), unpack(p.b[value:], &h.tx.number)) {
			return
		}
		at = p.behind(value)
	}
}

// Scan visits some fields from cursor on, as Tx.Scan does keys, and returns the
// next cursor, 0 at the end. A packed hash is visited as a whole.
func (h *Hash) Scan(cursor uint64, count int, visit func(field, value []byte)) uint64 {
	if h.big != nil {
		return h.big.scan(cursor, count, h.tx.Now, visit)
	}
	h.Each(func(field, value []byte) bool { visit(field, value); return true })
	return 0
}

// Random visits n random fields, any of them more than once, until visit
// returns false. The hash must not be empty. The bytes are valid during the
// visit.
func (h *Hash) Random(n int64, rnd *uint64, visit func(field, value []byte) bool) {
	if h.big != nil {
		h.big.random(n, rnd, h.tx.Now, visit)
		return
	}
	p := h.pairs()
	var starts [hashPackedMax]uint16
	for at, i := 0, 0; at < len(p.b); i++ {
		starts[i] = uint16(at)
		at = p.behind(at + span(p.b[at:]))
	}
	for ; n > 0; n-- {
		at := int(starts[mix(rnd)>>1%uint64(h.n)])
		value := at + span(p.b[at:])
		if !visit(unpack(p.b[at:], &h.tx.field), unpack(p.b[value:], &h.tx.number)) {
			return
		}
	}
}

// Sample visits n different fields, all sets of n with the same probability,
// until visit returns false; n is at most Len. The bytes are valid during the
// visit.
func (h *Hash) Sample(n int, rnd *uint64, visit func(field, value []byte) bool) {
	left := h.Len()
	if h.big != nil && n < left/3 {
		h.big.sample(n, rnd, h.tx.Now, visit)
		return
	}
	h.Each(func(field, value []byte) bool { // selection sampling: D. Knuth, TAOCP 2, 3.4.2 S
		take := mix(rnd)>>1%uint64(left) < uint64(n)
		left--
		if take {
			n--
			return visit(field, value) && n > 0
		}
		return true
	})
}

// Set sets a field, whose time to live goes, and reports whether it is new.
func (h *Hash) Set(field, value []byte) (created bool) { return h.set(field, value, false) }

// Update is Set, but the field keeps its time to live.
func (h *Hash) Update(field, value []byte) (created bool) { return h.set(field, value, true) }

func (h *Hash) set(field, value []byte, keep bool) (created bool) {
	if h.big != nil {
		created = h.setLarge(field, value, keep)
	} else {
		created = h.setPacked(field, value, keep)
	}
	h.wrote = true
	return created
}

// Fits reports whether the hash can take fields and values by turns.
func (h *Hash) Fits(pairs [][]byte) bool {
	if h.big == nil {
		return true
	}
	size := int64(0)
	for _, v := range pairs {
		size += int64(len(v))
	}
	return h.big.t.hasRoom(len(pairs)/2, size)
}

// setPacked sets a field of a hash that is packed or absent, which may become
// large.
func (h *Hash) setPacked(field, value []byte, keep bool) (created bool) {
	if len(field)+len(value) > packedMax {
		h.unpackAll()
		return h.setLarge(field, value, keep)
	}
	if !h.live {
		h.create(field, value)
		return true
	}
	v := pack(value)
	p := h.pairs()
	if at := p.find(field); at >= 0 {
		at += span(p.b[at:])
		if !h.replace(at, at+span(p.b[at:]), v) {
			return h.setLarge(field, value, keep)
		}
		if p.timed && !keep {
			h.setTime(at, 0)
		}
		h.name(h.n, max(len(field), len(value)))
		return false
	}
	f := pack(field)
	size := f.total() + v.total()
	if p.timed {
		size += noTime.total()
	}
	end := len(p.b)
	if h.n == hashPackedMax || end+size > packedMax {
		h.unpackAll()
		return h.setLarge(field, value, keep)
	}
	b := h.splice(end, end, size)[end:]
	b = b[f.put(b):]
	b = b[v.put(b):]
	if p.timed {
		noTime.put(b)
	}
	h.count(h.n + 1)
	h.name(h.n, max(len(field), len(value)))
	return true
}

// create makes a packed hash of one field.
func (h *Hash) create(field, value []byte) {
	b := append(h.tx.scratch[:0], 0, 1)
	h.store(appendPacked(appendPacked(b, pack(field)), pack(value)))
	h.name(h.n, max(len(field), len(value)))
}

// SetMany sets fields and values by turns and returns how many fields are new.
func (h *Hash) SetMany(pairs [][]byte) (created int) {
	if !h.live && len(pairs) > 2 && h.createMany(pairs) {
		return len(pairs) / 2
	}
	for i := 0; i+1 < len(pairs); i += 2 {
		if h.Set(pairs[i], pairs[i+1]) {
			created++
		}
	}
	if h.live {
		h.name(len(pairs)/2, 0) // Redis makes room for all fields given, even if some are the same
	}
	return created
}

// createMany makes a packed hash, and reports false, with nothing done, if it
// would be too large or a field comes twice.
func (h *Hash) createMany(pairs [][]byte) bool {
	if len(pairs)/2 > hashPackedMax {
		return false
	}
	b := append(h.tx.scratch[:0], 0, byte(len(pairs)/2))
	longest := 0
	for i, v := range pairs {
		e := pack(v)
		if len(b)+e.total() > hashHead+packedMax || i&1 == 0 && pairsOf(b).find(v) >= 0 {
			return false
		}
		b = appendPacked(b, e)
		longest = max(longest, len(v))
	}
	h.store(b)
	h.name(h.n, longest)
	return true
}

// store stores a new packed hash, made in the transaction's scratch.
func (h *Hash) store(blob []byte) {
	h.tx.scratch = blob
	h.tx.putBlob(h.key, KindHash, blob)
	h.reopen()
	h.wrote, h.told = true, true
}

// replace puts e in the place of the element [from, to) of a packed hash. It
// reports false if the hash is large then, and nothing replaced.
func (h *Hash) replace(from, to int, e element) bool {
	p := h.pairs()
	n := e.total()
	switch {
	case n == to-from:
		e.put(p.b[from:])
		return true
	case len(p.b)+n-(to-from) > packedMax:
		h.unpackAll()
		return false
	}
	e.put(h.splice(from, to, n)[from:])
	return true
}

// splice makes room of n bytes in the place of the elements [from, to) of a
// packed hash, and returns all elements.
func (h *Hash) splice(from, to, n int) []byte {
	b := h.tx.blob(h.at)
	old, head := len(b), headOf(b)
	size := old - (to - from) + n
	if size > old {
		h.at, b = h.tx.growBlob(h.at, size)
	}
	copy(b[head+from+n:], b[head+to:old])
	if size < old {
		h.at, b = h.tx.growBlob(h.at, size)
	}
	return b[head:]
}

// count says how many fields a packed hash has now.
func (h *Hash) count(n int) {
	h.n = n
	h.tx.blob(h.at)[1] = byte(n)
}

// name lets a hash with so many fields, and an element of such a length, be
// called a hash table from now on if Redis would make it one.
func (h *Hash) name(fields, longest int) {
	limit := h.tx.packing()
	if longest <= limit.HashValue && fields <= limit.HashEntries {
		return
	}
	if h.big != nil {
		h.big.state |= hashNamed
		return
	}
	h.tx.blob(h.at)[0] |= hashNamed
}

// Delete removes a field and reports whether it was there.
func (h *Hash) Delete(field []byte) bool {
	if h.big != nil {
		if !h.big.delete(field, h.tx.Now) {
			return false
		}
		h.n, h.wrote = h.big.t.len(), true
		return true
	}
	p := h.pairs()
	at := p.find(field)
	if at < 0 {
		return false
	}
	h.splice(at, p.behind(at+span(p.b[at:])), 0)
	h.count(h.n - 1)
	h.wrote = true
	return true
}

// Done records what was changed as one change, whose event is the
// transaction's, and then one for each further event. An empty hash is removed,
// one that has got small is packed.
func (h *Hash) Done(events ...string) {
	if !h.wrote {
		return
	}
	h.wrote = false
	if h.big != nil && !h.pack() {
		h.tx.settle(&h.at)
	}
	if !h.told {
		h.tx.changed(h.key, KindHash, Changed)
	}
	h.told = false
	for _, event := range events {
		h.tx.changedAs(h.key, KindHash, Changed, event)
	}
	if h.live && h.n == 0 {
		h.tx.remove(h.key, Emptied)
		h.live, h.big = false, nil
	}
}

// noTime is the element that stands for no time to live.
var noTime = element{size: 1, number: true}

// hashPairs is the elements of a packed hash.
type hashPairs struct {
	b     []byte
	timed bool
}

func headOf(blob []byte) int {
	if blob[0]&hashTimed != 0 {
		return hashTimedHead
	}
	return hashHead
}

func pairsOf(blob []byte) hashPairs {
	return hashPairs{blob[headOf(blob):], blob[0]&hashTimed != 0}
}

// behind returns where the pair with the value at an offset ends.
func (p hashPairs) behind(value int) int {
	value += span(p.b[value:])
	if p.timed {
		value += span(p.b[value:])
	}
	return value
}

// time returns where the time of the pair with the value at an offset stands,
// and the time.
func (p hashPairs) time(value int) (at int, when int64) {
	at = value + span(p.b[value:])
	return at, unpackInt(p.b[at:])
}

// find returns where a field stands, -1 if it is not there.
func (p hashPairs) find(field []byte) int {
	e := pack(field)
	if e.number {
		return p.findInt(e)
	}
	b := p.b
	for at := 0; at < len(b); {
		n := headSize(b[at:])
		if n == e.size && string(b[at+n-len(field):at+n]) == string(field) && isText(b[at]) {
			return at
		}
		at += n + backSize(n)
		if at += span(b[at:]); p.timed {
			at += span(b[at:])
		}
	}
	return -1
}

func (p hashPairs) findInt(e element) int {
	var room [9]byte
	putInt(room[:], e.num)
	enc := room[:e.size]
	for at := 0; at < len(p.b); at = p.behind(at + span(p.b[at:])) {
		if len(p.b)-at > e.size && string(p.b[at:at+e.size]) == string(enc) {
			return at
		}
	}
	return -1
}
