// Command queue shows reliable queues with go-redis: a producer, a worker that
// refuses what it cannot handle, and the dead letters, redriven.
//
//	go run ./examples/queue -addr 127.0.0.1:6379
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"

	"github.com/redis/go-redis/v9"
)

const queue = "example:mails"

func main() {
	addr := flag.String("addr", "127.0.0.1:6379", "address of the server")
	flag.Parse()
	client := redis.NewClient(&redis.Options{Addr: *addr})
	defer client.Close()
	if err := run(context.Background(), client); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, c *redis.Client) error {
	for _, command := range [][]any{
		{"QDELETE", queue},
		{"QCREATE", queue, "RETRIES", 1, "ACKDEADLINE", 5000},
		{"QPUBLISH", queue, "to: alice", "ID", "m1"},
		{"QPUBLISH", queue, "no address", "ID", "m2", "PRIORITY", 9},
	} {
		if err := c.Do(ctx, command...).Err(); err != nil {
			return err
		}
	}
	for {
		m, err := consume(ctx, c)
		if errors.Is(err, redis.Nil) {
			break
		}
		if err != nil {
			return err
		}
		verb := "QACK"
		if m.payload == "no address" {
			verb = "QNACK"
		}
		if err := c.Do(ctx, verb, queue, m.receipt).Err(); err != nil {
			return err
		}
		fmt.Printf("%s %s, delivery %d\n", verb, m.id, m.deliveries)
	}
	n, err := c.Do(ctx, "QDLQ", queue, "REDRIVE").Int()
	if err != nil {
		return err
	}
	fmt.Printf("redriven: %d\n", n)
	return c.Do(ctx, "QDELETE", queue).Err()
}

// message is what QCONSUME answers.
type message struct {
	id, receipt, payload string
	deliveries           int64
}

// consume takes one message, and waits a moment for it; redis.Nil says there is
// none.
func consume(ctx context.Context, c *redis.Client) (m message, err error) {
	reply, err := c.Do(ctx, "QCONSUME", queue, "worker", "BLOCK", 100).Slice()
	if err != nil {
		return m, err
	}
	fields, ok := reply[0].([]any)
	if !ok || len(fields) != 6 {
		return m, fmt.Errorf("QCONSUME answered %v", reply)
	}
	m.id, _ = fields[0].(string)
	m.receipt, _ = fields[1].(string)
	m.payload, _ = fields[2].(string)
	m.deliveries, _ = fields[4].(int64)
	return m, nil
}
