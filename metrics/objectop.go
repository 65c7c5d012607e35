package metrics

// ObjectOp says how a command is counted by object; 0: not at all. It is looked
// up once for each command row.
type ObjectOp uint8

const (
	NoObject ObjectOp = iota
	ListPublish
	ListConsume
	ListMove // consumes from its first key, publishes to its second
	RoomPublish
	RoomConsume
	RoomAck
	RoomClaim
	RoomDelete
	RoomTrim
	queueOp // + a QueueOp: a command of reliable queues
)

var objectOps = map[string]ObjectOp{
	"lpush": ListPublish, "rpush": ListPublish, "lpushx": ListPublish, "rpushx": ListPublish, "linsert": ListPublish,
	"lpop": ListConsume, "rpop": ListConsume, "blpop": ListConsume, "brpop": ListConsume, "lmpop": ListConsume, "blmpop": ListConsume,
	"lmove": ListMove, "blmove": ListMove, "rpoplpush": ListMove, "brpoplpush": ListMove,
	"xadd":  RoomPublish,
	"xread": RoomConsume, "xreadgroup": RoomConsume, "xrange": RoomConsume, "xrevrange": RoomConsume,
	"xack": RoomAck, "xclaim": RoomClaim, "xautoclaim": RoomClaim,
	"xdel": RoomDelete, "xdelex": RoomDelete, "xackdel": RoomDelete, "xtrim": RoomTrim,
	"qpublish": queueOp + ObjectOp(QueuePublish), "qpublishm": queueOp + ObjectOp(QueuePublish), "qdlq": queueOp + ObjectOp(QueuePublish),
	"qconsume": queueOp + ObjectOp(QueueConsume), "qack": queueOp + ObjectOp(QueueAck), "qnack": queueOp + ObjectOp(QueueNack),
	"qextend": queueOp + ObjectOp(QueueExtend), "qpurge": queueOp + ObjectOp(QueuePurge),
}

// ObjectOpOf returns how the named command is counted.
func ObjectOpOf(command string) ObjectOp { return objectOps[command] }

// StreamOp returns the stream operation of op, false if it is none.
func (op ObjectOp) StreamOp() (StreamOp, bool) {
	if op < RoomPublish || op > RoomTrim {
		return 0, false
	}
	return StreamOp(op - RoomPublish), true
}

// QueueOp returns the operation on a reliable queue of op, false if it is none.
func (op ObjectOp) QueueOp() (QueueOp, bool) {
	return QueueOp(op - queueOp), op >= queueOp
}
