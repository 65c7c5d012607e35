package resp

// Limits bound one request. Query bounds the input held for one session.
type Limits struct{ Args, Bulk, Inline, Header, Query int }

// ProtocolError is bad framing: it is answered "-ERR Protocol error: …" and the
// connection closed.
type ProtocolError struct{ Text string }

func (e *ProtocolError) Error() string { return e.Text }

// Parser reads requests incrementally.
type Parser struct{ args [][]byte }

// Next parses one request from buf.
func (p *Parser) Next(buf []byte, lim *Limits) (args [][]byte, n int, err error) {
	return nil, 0, nil
}
