package tests

import (
	"encoding/json"
	"os"
	"strings"
	"sync"
	"testing"
)

// fact is what Valkey publishes about one command; see the data's README.
type fact struct {
	Name      string
	Arity     int
	Group     string
	Since     string
	Container string
	Flags     []string        `json:"command_flags"`
	ACL       []string        `json:"acl_categories"`
	Tips      []string        `json:"command_tips"`
	KeySpecs  []factKeySpec   `json:"key_specs"`
	Arguments []factArgument  `json:"arguments"`
	Schema    json.RawMessage `json:"reply_schema"`
}

type factKeySpec struct {
	Notes string
	Flags []string
	Begin struct {
		Index   *struct{ Pos int }
		Keyword *struct {
			Keyword   string
			StartFrom int `json:"startfrom"`
		}
		Unknown any
	} `json:"begin_search"`
	Find struct {
		Range  *struct{ LastKey, Step, Limit int }
		KeyNum *struct{ KeyNumIdx, FirstKey, Step int }
	} `json:"find_keys"`
}

type factArgument struct {
	Name, Type, Token string
	Optional          flexBool
	Multiple          flexBool
	MultipleToken     flexBool `json:"multiple_token"`
	Arguments         []factArgument
}

// flexBool reads true as well as "true", of which the data has both.
type flexBool bool

func (b *flexBool) UnmarshalJSON(text []byte) error {
	*b = strings.Trim(string(text), `"`) == "true"
	return nil
}

// ownGroups are groups of commands that are Synap's own altogether.
var ownGroups = []string{"queue"}

const factsPath = "../../shared/data/valkey-commands.json"

var readFacts = sync.OnceValues(func() (map[string]*fact, error) {
	b, err := os.ReadFile(factsPath)
	if err != nil {
		return nil, err
	}
	raw := map[string]*fact{}
	if err := json.Unmarshal(b, &raw); err != nil {
		return nil, err
	}
	all := map[string]*fact{}
	for name, f := range raw {
		f.Name = strings.ToLower(strings.ReplaceAll(name, " ", "|"))
		all[f.Name] = f
	}
	return all, nil
})

// facts returns the published facts by full name ("config|get").
func facts(t testing.TB) map[string]*fact {
	t.Helper()
	all, err := readFacts()
	if err != nil {
		if os.IsNotExist(err) {
			t.Skipf("%s is not there", factsPath)
		}
		t.Fatal(err)
	}
	return all
}
