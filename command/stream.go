package command

import (
	"math"

	"synap/resp"
	"synap/store"
)

// Streams (https://redis.io/commands/?group=stream): writing; reading is in
// stream_read.go, consumer groups in stream_group.go, stream_claim.go and
// stream_ack.go, XINFO in stream_info.go.

func streamRows() []Row {
	rows := append(streamWriteRows(), streamReadRows()...)
	rows = append(rows, streamGroupRows()...)
	rows = append(rows, streamClaimRows()...)
	rows = append(rows, streamAckRows()...)
	return append(rows, xinfoRow())
}

const trimUsage = "<MAXLEN | MINID> [= | ~] threshold [LIMIT count]"

func streamWriteRows() []Row {
	return []Row{
		{
			Name: "xadd", Usage: "key [NOMKSTREAM] " + refsUsage + " [" + trimUsage + "] <* | id> field value [field value ...]", Arity: -5,
			Summary: "Appends an entry to a stream, which is created if it does not exist, and may trim it.",
			Group:   "stream", Since: "5.0.0", Complexity: "O(1) when adding, O(N) when trimming where N is the number of entries removed",
			Flags: Write | DenyOOM | Fast, Run: xadd, Tips: []string{"nondeterministic_output"},
			Keys: []KeySpec{{Flags: RW | Update, Begin: 1, Notes: "UPDATE instead of INSERT because of the optional trimming feature"}},
		},
		{
			Name: "xdel", Usage: "key id [id ...]", Arity: -3,
			Summary: "Removes entries from a stream by their IDs.",
			Group:   "stream", Since: "5.0.0", Complexity: "O(log N) for each entry where N is the length of the stream",
			Flags: Write | Fast, Keys: oneKey(RW | Delete), Run: xdel,
		},
		{
			Name: "xtrim", Usage: "key <" + trimUsage + "> " + refsUsage, Arity: -4,
			Summary: "Removes entries from the beginning of a stream.",
			Group:   "stream", Since: "5.0.0", Complexity: "O(N) where N is the number of entries removed, most of them as whole blocks",
			Flags: Write, Keys: oneKey(RW | Delete), Run: xtrim, Tips: []string{"nondeterministic_output"},
		},
		{
			Name: "xsetid", Usage: "key last-id [ENTRIESADDED entries-added] [MAXDELETEDID max-deleted-id]", Arity: -3,
			Summary: "Sets the last ID of a stream, and what it counts, for replication.",
			Group:   "stream", Since: "5.0.0", Complexity: "O(1)",
			Flags: Write | DenyOOM | Fast, Keys: oneKey(RW | Update), Run: xsetid,
		},
	}
}

// streamAt returns the stream of a key, nil if it is absent. It returns false
// when the key holds another kind: the error is then replied.
func streamAt(c *Ctx, key []byte, a store.Access) (s *store.Stream, ok bool) {
	s, err := c.Tx.Stream(key, a)
	if err != nil {
		c.Fail(err)
		return nil, false
	}
	return s, true
}

// parseID reads the next argument as an ID without the short forms - and +.
func parseID(a *resp.Args) store.ID {
	id, ok := store.ParseID(a.Next(), 0)
	if !ok {
		a.Fail(resp.ErrStreamID)
	}
	return id
}

// trimOptions are MAXLEN and MINID of XADD and XTRIM.
type trimOptions struct {
	store.Trim
	given bool
	limit bool // LIMIT is given
	refs  bool // what becomes of groups is given
}

// parse reads one option if it is one of them.
func (o *trimOptions) parse(a *resp.Args) bool {
	if refs, ok := parseRefs(a); ok {
		if o.refs {
			a.Fail(resp.ErrSyntax)
		}
		o.Refs, o.refs = refs, true
		return true
	}
	if a.Left() < 2 {
		return false
	}
	byID := false
	switch {
	case a.Is("MAXLEN"):
	case a.Is("MINID"):
		byID = true
	case a.Is("LIMIT"):
		o.limit = true
		if o.Limit = a.Int(); o.Limit < 0 {
			a.Fail(resp.ErrStreamLimitNegative)
		}
		return true
	default:
		return false
	}
	if o.given {
		a.Fail(resp.ErrStreamTrimTwice)
	}
	o.given, o.ByID, o.Approx = true, byID, false
	if a.Left() >= 2 {
		o.Approx = a.Is("~")
		_ = o.Approx || a.Is("=")
	}
	if byID {
		o.MinID = parseID(a)
	} else if o.MaxLen = a.Int(); o.MaxLen < 0 {
		a.Fail(resp.ErrStreamMaxLenNegative)
	}
	return true
}

// finish checks the options together and gives approximate trimming the limit
// that it has where none is given: 100 blocks.
func (o *trimOptions) finish(a *resp.Args, conf *Conf, required bool) {
	switch {
	case o.Limit > 0 && !o.given:
		a.Fail(resp.ErrStreamLimitNoTrim)
	case required && !o.given:
		a.Fail(resp.ErrStreamTrimNone)
	case o.limit && !o.Approx:
		a.Fail(resp.ErrStreamLimitApprox)
	case o.Approx && !o.limit:
		o.Limit = 100 * min(max(conf.StreamNodeMaxEntries, 0), 10000)
		if o.Limit == 0 {
			o.Limit = 10000
		}
	}
}

// log appends the options for the journal: exact, so that replay removes
// the same entries whatever the blocks are.
func (o *trimOptions) log(c *Ctx, record [][]byte, s *store.Stream) [][]byte {
	if !o.given {
		return record
	}
	byID := o.ByID
	switch o.Refs {
	case store.DeleteRefs:
		record = append(record, wordDELREF)
	case store.AckedOnly:
		record = append(record, wordACKED)
		byID = byID && !o.Approx // as the first entry may have been kept
	}
	if byID {
		id := o.MinID
		if o.Approx {
			if id = s.FirstID(); s.Len() == 0 {
				id = store.MaxID
			}
		}
		return append(record, wordMINID, wordEqual, id.Append(nil))
	}
	n := o.MaxLen
	if o.Approx {
		n = int64(s.Len())
	}
	return append(record, wordMAXLEN, wordEqual, append([]byte(nil), c.decimal(n)...))
}

// Words of journal records.
var (
	wordXADD   = []byte("XADD")
	wordXTRIM  = []byte("XTRIM")
	wordMAXLEN = []byte("MAXLEN")
	wordMINID  = []byte("MINID")
	wordEqual  = []byte("=")
	wordDELREF = []byte("DELREF")
	wordACKED  = []byte("ACKED")
)

// xaddOptions are the arguments of XADD between key and fields.
type xaddOptions struct {
	trim     trimOptions
	noStream bool
	id       store.ID
	auto     bool // *
	autoSeq  bool // ms-*
}

func parseXadd(a *resp.Args, conf *Conf) xaddOptions {
	var o xaddOptions
	for a.Err() == nil {
		switch {
		case a.Is("*"):
			o.auto = true
		case o.trim.parse(a):
			continue
		case a.Is("NOMKSTREAM"):
			o.noStream = true
			continue
		default:
			text := a.Next()
			if n := len(text); n > 2 && string(text[n-2:]) == "-*" {
				o.autoSeq, text = true, text[:n-2]
			}
			var ok bool
			if o.id, ok = store.ParseID(text, 0); !ok {
				a.Fail(resp.ErrStreamID)
			}
		}
		break
	}
	o.trim.finish(a, conf, false)
	return o
}

// maxEntry is the most bytes of fields and values in an entry.
const maxEntry = 1 << 30

func xadd(c *Ctx) {
	a := resp.NewArgs(c.Args[2:])
	o := parseXadd(&a, c.Conf)
	if err := a.Err(); err != nil {
		c.Fail(err)
		return
	}
	pairs := a.Rest()
	if len(pairs) < 2 || len(pairs)%2 == 1 {
		c.Reply.Error(resp.WrongArity(c.Row.Name))
		return
	}
	if !o.auto && !o.autoSeq && o.id == (store.ID{}) {
		c.Reply.Error(resp.ErrStreamIDZero)
		return
	}
	s, ok := streamAt(c, c.Args[1], store.Write)
	if !ok {
		return
	}
	if s == nil {
		if o.noStream {
			c.Count(0)
			c.Reply.Null()
			return
		}
		s = c.Tx.NewStream()
	}
	id, err := o.nextID(c, s)
	if err == "" && tooLarge(pairs) {
		err = resp.ErrStreamElementLarge
	}
	if err != "" {
		c.Reply.Error(err)
		return
	}
	s.Add(id, pairs, c.Conf.StreamNodeMaxBytes, c.Conf.StreamNodeMaxEntries)
	trimmed := 0
	if o.trim.given {
		trimmed = s.Trim(o.trim.Trim)
	}
	c.Tx.SaveStream(c.Args[1], s)
	if trimmed > 0 {
		c.Tx.Event = "xtrim"
		c.Tx.SaveStreamQuietly(c.Args[1], s)
	}
	o.log(c, s, id, pairs)
	replyID(c.Reply, id)
}

// nextID returns the ID of the entry to add.
func (o *xaddOptions) nextID(c *Ctx, s *store.Stream) (id store.ID, err resp.Error) {
	last := s.LastID()
	if last == store.MaxID {
		return id, resp.ErrStreamExhausted
	}
	id = o.id
	switch {
	case o.auto: // should the clock go back, IDs do not
		id = store.ID{Ms: uint64(c.Now.UnixMilli())}
		if id.Ms <= last.Ms {
			id, _ = last.Next()
		}
	case o.autoSeq && id.Ms == last.Ms:
		if last.Seq == math.MaxUint64 {
			return id, resp.ErrStreamIDSmaller
		}
		id.Seq = last.Seq + 1
	}
	if !last.Less(id) {
		return id, resp.ErrStreamIDSmaller
	}
	return id, ""
}

func tooLarge(pairs [][]byte) bool {
	size := 0
	for _, v := range pairs {
		size += len(v)
	}
	return size > maxEntry
}

// log records the entry under the ID it got.
func (o *xaddOptions) log(c *Ctx, s *store.Stream, id store.ID, pairs [][]byte) {
	if !c.Tx.Logged || !o.auto && !o.autoSeq && !o.trim.Approx {
		return
	}
	var room [16][]byte
	record := append(room[:0], wordXADD, c.Args[1])
	if o.trim.given {
		record = append(o.trim.log(c, record, s), id.Append(nil))
	} else {
		c.digits = id.Append(c.digits[:0])
		record = append(record, c.digits)
	}
	c.LogAs(append(record, pairs...)...)
}

// replyID replies with an ID as a bulk string.
func replyID(r *resp.Reply, id store.ID) {
	var room [41]byte
	r.Bulk(id.Append(room[:0]))
}

func xdel(c *Ctx) {
	s, ok := streamAt(c, c.Args[1], store.Write)
	if !ok {
		return
	}
	if s == nil {
		c.Count(0)
		c.Reply.Int(0)
		return
	}
	a := resp.NewArgs(c.Args[2:]) // all are read before the first is deleted
	for a.Left() > 0 && a.Err() == nil {
		parseID(&a)
	}
	if err := a.Err(); err != nil {
		c.Fail(err)
		return
	}
	n := 0
	for a = resp.NewArgs(c.Args[2:]); a.Left() > 0; {
		if s.Delete(parseID(&a)) {
			n++
		}
	}
	if n > 0 {
		c.Tx.SaveStreamQuietly(c.Args[1], s)
	}
	c.Count(n)
	c.Reply.Int(int64(n))
}

func xtrim(c *Ctx) {
	a := resp.NewArgs(c.Args[2:])
	var o trimOptions
	for a.Left() > 0 && a.Err() == nil {
		if !o.parse(&a) {
			a.Fail(resp.ErrSyntax)
		}
	}
	o.finish(&a, c.Conf, true)
	if err := a.Err(); err != nil {
		c.Fail(err)
		return
	}
	s, ok := streamAt(c, c.Args[1], store.Write)
	if !ok {
		return
	}
	n := 0
	if s != nil {
		n = s.Trim(o.Trim)
	}
	if n > 0 {
		c.Tx.SaveStreamQuietly(c.Args[1], s)
		if o.Approx {
			c.LogAs(o.log(c, [][]byte{wordXTRIM, c.Args[1]}, s)...)
		}
	}
	c.Count(n)
	c.Reply.Int(int64(n))
}

// setIDOptions are XSETID's arguments; added is -1 when not given.
type setIDOptions struct {
	last, maxDeleted store.ID
	added            int64
}

func parseSetID(a *resp.Args) setIDOptions {
	o := setIDOptions{added: -1, last: parseID(a)}
	for a.Left() > 0 && a.Err() == nil {
		switch {
		case a.Left() < 2:
			a.Fail(resp.ErrSyntax)
		case a.Is("ENTRIESADDED"):
			if o.added = a.Int(); o.added < 0 {
				a.Fail(resp.ErrEntriesAddedPositive)
			}
		case a.Is("MAXDELETEDID"):
			if o.maxDeleted = parseID(a); o.last.Less(o.maxDeleted) {
				a.Fail(resp.ErrSetIDMaxDeleted)
			}
		default:
			a.Fail(resp.ErrSyntax)
		}
	}
	return o
}

func xsetid(c *Ctx) {
	a := resp.NewArgs(c.Args[2:])
	o := parseSetID(&a)
	if err := a.Err(); err != nil {
		c.Fail(err)
		return
	}
	s, ok := streamAt(c, c.Args[1], store.Write)
	switch {
	case !ok:
	case s == nil:
		c.Reply.Error(resp.ErrNoSuchKey)
	case o.last.Less(s.MaxDeletedID()):
		c.Reply.Error(resp.ErrSetIDMaxDeletedCur)
	case s.Len() > 0 && o.last.Less(s.TopID()):
		c.Reply.Error(resp.ErrSetIDSmaller)
	case s.Len() > 0 && o.added >= 0 && int64(s.Len()) > o.added:
		c.Reply.Error(resp.ErrSetIDLength)
	default:
		s.SetID(o.last, o.added, o.maxDeleted)
		c.Tx.SaveStream(c.Args[1], s)
		c.Reply.OK()
	}
}
