package journal

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"io"
	"strconv"
	"strings"
)

// The manifest lists the files of a log, one a line
// (https://redis.io/docs/latest/operate/oss_and_stack/management/persistence/#log-rewriting):
//
//	file appendonly.aof.1.base.rdb seq 1 type b
//	file appendonly.aof.1.incr.aof seq 1 type i
//
// Type h is history: a file that is no longer needed. Ours end in a line that a
// Redis passes over, #CRC:<CRC-32C of the lines before it>: one bit would make
// an increment history.

// Manifest is which files make up a log: the base, if any, then the increments
// in their order. Names are those in the log's directory.
type Manifest struct {
	Base        string
	Increments  []string
	baseSeq     int
	incrementNo int    // of the newest increment
	begun       string // of a log that is about to be begun: its first file
}

const manifestLineMax = 1024 // Redis' limit

func (m *Manifest) format() []byte {
	var b bytes.Buffer
	if m.begun != "" {
		fmt.Fprintf(&b, "file %s seq 1 type h\n", quoteName(m.begun))
	}
	if m.Base != "" {
		fmt.Fprintf(&b, "file %s seq %d type b\n", quoteName(m.Base), m.baseSeq)
	}
	for i, name := range m.Increments {
		fmt.Fprintf(&b, "file %s seq %d type i\n", quoteName(name), m.incrementNo-len(m.Increments)+1+i)
	}
	fmt.Fprintf(&b, "%s%08x\n", crcLine, crc32.Checksum(b.Bytes(), castagnoli))
	return b.Bytes()
}

// checkManifest compares a manifest with its checksum, if it has one.
func checkManifest(text []byte) error {
	at := bytes.LastIndex(text, []byte("\n"+crcLine)) + 1
	if at == 0 {
		return nil // a Redis has written it
	}
	sum, err := strconv.ParseUint(string(bytes.TrimSpace(text[at+len(crcLine):])), 16, 32)
	if err != nil || uint32(sum) != crc32.Checksum(text[:at], castagnoli) {
		return fmt.Errorf("its checksum is wrong; if you changed it yourself, remove the line that begins with %s", crcLine)
	}
	return nil
}

// quoteName writes a name as one word.
func quoteName(name string) string {
	if strings.ContainsAny(name, " \"\\") {
		return strconv.Quote(name)
	}
	return name
}

// parseManifest reads a manifest. It names nothing but history where a log was
// about to be begun.
func parseManifest(text []byte) (Manifest, error) {
	var m Manifest
	if err := checkManifest(text); err != nil {
		return m, err
	}
	for n, line := range strings.Split(strings.TrimSuffix(string(text), "\n"), "\n") {
		if strings.HasPrefix(line, "#") {
			continue
		}
		name, seq, kind, ok := parseManifestLine(line)
		switch {
		case !ok, kind == "b" && m.Base != "", kind == "i" && len(m.Increments) > 0 && seq <= m.incrementNo:
			return m, fmt.Errorf("line %d is not valid: %q", n+1, line)
		case kind == "b":
			m.Base, m.baseSeq = name, seq
		case kind == "i":
			m.Increments, m.incrementNo = append(m.Increments, name), seq
		case kind == "h":
			m.begun = name
		}
	}
	if m.Base != "" || len(m.Increments) > 0 {
		m.begun = ""
	} else if m.begun == "" {
		return m, fmt.Errorf("it names no file")
	}
	return m, nil
}

func parseManifestLine(line string) (name string, seq int, kind string, ok bool) {
	rest, found := strings.CutPrefix(line, "file ")
	if !found || len(line) > manifestLineMax {
		return "", 0, "", false
	}
	if strings.HasPrefix(rest, `"`) {
		quoted, err := strconv.QuotedPrefix(rest)
		if err != nil {
			return "", 0, "", false
		}
		if name, err = strconv.Unquote(quoted); err != nil {
			return "", 0, "", false
		}
		rest = rest[len(quoted):]
	} else if name, rest, found = strings.Cut(rest, " "); found {
		rest = " " + rest
	}
	words := strings.Fields(rest)
	if len(words) != 4 || words[0] != "seq" || words[2] != "type" || name == "" || strings.ContainsAny(name, "/\x00") {
		return "", 0, "", false
	}
	seq, err := strconv.Atoi(words[1])
	kind = words[3]
	return name, seq, kind, err == nil && seq > 0 && (kind == "b" || kind == "i" || kind == "h")
}

// write puts the manifest in the place of the last one.
func (m *Manifest) write(d Disk, name string) error {
	return WriteFile(d, name, func(w io.Writer) error {
		_, err := w.Write(m.format())
		return err
	})
}
