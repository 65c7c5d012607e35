package server

import (
	"synap/command"
	"synap/resp"
)

// Rows of https://redis.io/docs/latest/commands/?group=pubsub. The work is done
// by the broker; here are the arguments and the replies.

func pubsubRows() []Row {
	return []Row{
		subscribeRow("subscribe", "channel [channel ...]", "2.0.0", "Receives the messages of channels.", channelTopic),
		subscribeRow("psubscribe", "pattern [pattern ...]", "2.0.0", "Receives the messages of the channels that match patterns.", patternTopic),
		subscribeRow("ssubscribe", "shardchannel [shardchannel ...]", "7.0.0", "Receives the messages of shard channels.", shardTopic),
		unsubscribeRow("unsubscribe", "[channel [channel ...]]", "2.0.0", "Ends subscriptions to channels.", channelTopic),
		unsubscribeRow("punsubscribe", "[pattern [pattern ...]]", "2.0.0", "Ends subscriptions to patterns.", patternTopic),
		unsubscribeRow("sunsubscribe", "[shardchannel [shardchannel ...]]", "7.0.0", "Ends subscriptions to shard channels.", shardTopic),
		{Row: command.Row{
			Name: "publish", Usage: "channel message", Group: "pubsub", Since: "2.0.0", Arity: 3,
			Summary:    "Sends a message to the subscribers of a channel.",
			Complexity: "O(N+M) where N is the number of subscribers of the channel and M the number of patterns of all clients.",
			Flags:      command.PubSub | command.Loading | command.Stale | command.Fast | command.MayReplicate,
		}, Session: publishTo(channelTopic)},
		{Row: command.Row{
			Name: "spublish", Usage: "shardchannel message", Group: "pubsub", Since: "7.0.0", Arity: 3,
			Summary:    "Sends a message to the subscribers of a shard channel.",
			Complexity: "O(N) where N is the number of subscribers of the shard channel.",
			Flags:      command.PubSub | command.Loading | command.Stale | command.Fast | command.MayReplicate,
			Keys:       []command.KeySpec{{Flags: command.NotKey, Begin: 1}},
		}, Session: publishTo(shardTopic)},
		pubsubContainer(),
	}
}

// subscriptionFlags are those of every SUBSCRIBE and UNSUBSCRIBE.
const subscriptionFlags = command.PubSub | command.NoScript | command.Loading | command.Stale | command.Subscribed

func subscribeRow(name, usage, since, summary string, kind topicKind) Row {
	return Row{Row: command.Row{
		Name: name, Usage: usage, Summary: summary, Group: "pubsub", Since: since, Arity: -2,
		Complexity: "O(N) where N is the number of names.",
		Flags:      subscriptionFlags, Keys: shardChannels(kind),
	}, Session: func(x *Session, c *command.Ctx) { x.subscribe(c, name, kind) }}
}

func unsubscribeRow(name, usage, since, summary string, kind topicKind) Row {
	return Row{Row: command.Row{
		Name: name, Usage: usage, Summary: summary, Group: "pubsub", Since: since, Arity: -1,
		Complexity: "O(N) where N is the number of names.",
		Flags:      subscriptionFlags | command.NeverLimit, Keys: shardChannels(kind),
	}, Session: func(x *Session, c *command.Ctx) { x.unsubscribe(c, name, kind) }}
}

// shardChannels is the key spec of (S)(UN)SUBSCRIBE: shard channels are placed
// in a cluster like keys.
func shardChannels(kind topicKind) []command.KeySpec {
	if kind != shardTopic {
		return nil
	}
	return []command.KeySpec{{Flags: command.NotKey, Begin: 1, Last: -1, Step: 1}}
}

func pubsubContainer() Row {
	row := func(name, usage, since, summary, complexity string, arity int, run func(*Session, *command.Ctx)) Row {
		return Row{Row: command.Row{
			Name: name, Usage: usage, Since: since, Summary: summary, Complexity: complexity, Arity: arity,
			Group: "pubsub", Flags: command.PubSub | command.Loading | command.Stale,
		}, Session: run}
	}
	return container(command.Row{
		Name: "pubsub", Group: "pubsub", Since: "2.8.0", Arity: -2,
		Summary: "Container of the commands about subscriptions.", Complexity: "Depends on subcommand.",
	}, "6.2.0",
		row("channels", "[pattern]", "2.8.0", "Lists the channels that have subscribers.",
			"O(N) where N is the number of channels.", -2, listTopics(channelTopic)),
		row("numpat", "", "2.8.0", "Counts the patterns that have subscribers.", "O(1)", 2,
			func(x *Session, c *command.Ctx) { c.Reply.Int(x.srv.broker.numTopics(patternTopic)) }),
		row("numsub", "[channel [channel ...]]", "2.8.0", "Counts the subscribers of channels.",
			"O(N) where N is the number of channels asked for.", -2, countSubscribers(channelTopic)),
		row("shardchannels", "[pattern]", "7.0.0", "Lists the shard channels that have subscribers.",
			"O(N) where N is the number of shard channels.", -2, listTopics(shardTopic)),
		row("shardnumsub", "[shardchannel [shardchannel ...]]", "7.0.0", "Counts the subscribers of shard channels.",
			"O(N) where N is the number of shard channels asked for.", -2, countSubscribers(shardTopic)),
	)
}

// container joins subcommands under row and adds their HELP, which came with
// version helpSince.
func container(row command.Row, helpSince string, subs ...Row) Row {
	plain := make([]command.Row, len(subs))
	for i := range subs {
		plain[i] = subs[i].Row
	}
	help := command.HelpRow(row.Name, command.Row{
		Group: row.Group, Since: helpSince, Flags: command.Loading | command.Stale, Categories: row.Categories,
	}, plain)
	return Row{Row: row, Subs: append(subs, Row{Row: help})}
}

// subscriber returns the session as the broker knows it.
func (x *Session) subscriber() *subscriber {
	if x.sub == nil {
		x.sub = x.reachable()
	}
	return x.sub
}

// takeMessages moves what the broker has for the session into its output.
func (x *Session) takeMessages() {
	if x.closing { // nothing follows the reply of QUIT
		return
	}
	x.subscriber().drain(&x.out, x.muted())
	if x.next() == resp.Close {
		x.conn.CloseAfterReply()
	}
}

// IdleExempt implements resp.IdleExempter: who waits for messages of others may
// be silent for ever.
func (x *Session) IdleExempt() bool {
	return x.sub != nil && (x.sub.total() > 0 || x.monitoring())
}

// muted tells whether CLIENT REPLY drops replies at present.
func (x *Session) muted() bool { return x.reply == replyOff || x.reply == replySkipping }

// inTransaction tells whether c is a command inside EXEC.
func (x *Session) inTransaction(c *command.Ctx) bool { return c == &x.current.inner }

func (x *Session) subscribe(c *command.Ctx, word string, kind topicKind) {
	if kind == shardTopic && x.inTransaction(c) {
		c.Reply.Error(resp.ErrSSubscribeDenied)
		return
	}
	if x.muted() { // confirmations are messages: CLIENT REPLY does not stop them
		c.Reply.Mute(false)
		defer c.Reply.Mute(true)
	}
	s := x.subscriber()
	for _, name := range c.Args[1:] {
		s.subscribe(kind, name)
		x.srv.noteTopic(kind, name)
		confirm(c.Reply, word, name, s, kind)
	}
}

func (x *Session) unsubscribe(c *command.Ctx, word string, kind topicKind) {
	if x.muted() {
		c.Reply.Mute(false)
		defer c.Reply.Mute(true)
	}
	s := x.subscriber()
	names := c.Args[1:]
	if len(names) == 0 {
		if names = s.names(kind); len(names) == 0 {
			confirm(c.Reply, word, nil, s, kind)
		}
	}
	for _, name := range names {
		s.unsubscribe(kind, string(name))
		if !x.inTransaction(c) { // no message of the channel after its confirmation
			s.drain(&x.out, false)
		}
		confirm(c.Reply, word, name, s, kind)
	}
}

// confirm answers one name of (UN)SUBSCRIBE; nil: there was nothing to leave.
func confirm(r *resp.Reply, word string, name []byte, s *subscriber, kind topicKind) {
	r.Push(3)
	r.BulkString(word)
	if name == nil {
		r.Null()
	} else {
		r.Bulk(name)
	}
	if kind == shardTopic {
		r.Int(int64(s.count(shardTopic)))
	} else {
		r.Int(int64(s.count(channelTopic) + s.count(patternTopic)))
	}
}

func publishTo(kind topicKind) func(*Session, *command.Ctx) {
	return func(x *Session, c *command.Ctx) {
		c.Reply.Int(int64(x.srv.broker.publish(kind, c.Args[1], c.Args[2])))
		if x.sub != nil && !x.inTransaction(c) { // its own copy follows its reply at once, as in Redis 7.2
			x.sub.drain(&x.out, x.muted())
		}
	}
}

func listTopics(kind topicKind) func(*Session, *command.Ctx) {
	return func(x *Session, c *command.Ctx) {
		var pattern []byte
		switch len(c.Args) {
		case 2:
		case 3:
			pattern = c.Args[2]
		default:
			c.Reply.Error(resp.SubcommandSyntax("pubsub", c.Args[1]))
			return
		}
		topics := x.srv.broker.topics(kind, pattern)
		c.Reply.Array(len(topics))
		for _, t := range topics {
			c.Reply.BulkString(t.Name)
		}
	}
}

func countSubscribers(kind topicKind) func(*Session, *command.Ctx) {
	return func(x *Session, c *command.Ctx) {
		names := c.Args[2:]
		c.Reply.Array(2 * len(names))
		for _, name := range names {
			c.Reply.Bulk(name)
			c.Reply.Int(int64(x.srv.broker.numSub(kind, name)))
		}
	}
}
