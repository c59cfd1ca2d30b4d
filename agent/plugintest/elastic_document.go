package plugintest

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// ecsObjects are the fields of ECS that are objects; a scalar there is a mapping conflict.
var ecsObjects = map[string]bool{
	"event": true, "host": true, "rule": true, "threat": true, "related": true, "ecs": true, "agent": true, "data_stream": true,
	"observer": true, "source": false, "message": false,
}

var dateText = regexp.MustCompile(`^\d{4}-\d\d-\d\d([T]\d\d:\d\d:\d\d([.,]\d{1,9})?(Z|[+-]\d\d:?\d\d)?)?$`)

// checkDocument is what the strict parser and the ECS mapping refuse: protocols 2.7.
func checkDocument(doc []byte, stream bool) error {
	obj, rest, err := nextValue(doc)
	switch {
	case err != nil:
		return err
	case len(obj) == 0 || obj[0] != '{':
		return errors.New("the source is not an object")
	case skipSpace(rest, 0) != len(rest):
		return errors.New("something follows the source on its line")
	}
	if err := checkKeys(obj); err != nil {
		return err
	}
	var dated bool
	_, err = skipObject(obj, 0, 0, func(key, value []byte) error {
		switch name := unquote(key); {
		case name == "@timestamp":
			dated = true
			if value[0] == '"' && !dateText.MatchString(unquote(value)) || value[0] == '{' || value[0] == 't' || value[0] == 'f' {
				return fmt.Errorf("failed to parse date field [%s]", unquote(value))
			}
		case ecsObjects[name] && value[0] != '{' && string(value) != "null":
			return fmt.Errorf("object mapping for [%s] tried to parse field [%s] as object, but found a concrete value", name, name)
		case name == "message" && value[0] == '{':
			return errors.New("failed to parse field [message] of type [match_only_text]")
		case name == "event":
			return checkECSEvent(value)
		}
		return nil
	})
	if err == nil && stream && !dated {
		return errors.New("data stream timestamp field [@timestamp] is missing")
	}
	return err
}

func checkECSEvent(event []byte) error {
	if event[0] != '{' {
		return nil
	}
	if v := member(event, "severity"); len(v) > 0 && strings.ContainsAny(string(v[:1]), `{t"f`) {
		return errors.New("failed to parse field [event.severity] of type [long]")
	}
	if v := member(event, "kind"); string(v) == `"signal"` {
		return errors.New("event.kind signal is reserved")
	}
	return nil
}

// checkKeys refuses duplicate and empty keys in v and below it.
func checkKeys(v []byte) error {
	switch v[0] {
	case '[':
		_, err := skipArray(v, 0, 0, checkKeys)
		return err
	case '{':
		var few [24]string
		seen := few[:0]
		var many map[string]bool
		_, err := skipObject(v, 0, 0, func(key, value []byte) error {
			name := unquote(key)
			if strings.Trim(name, " .") == "" || name[0] == '.' || name[len(name)-1] == '.' {
				return fmt.Errorf("field name [%s] is not allowed", name)
			}
			repeated := many[name]
			for _, s := range seen {
				repeated = repeated || s == name
			}
			if repeated {
				return elasticText("Duplicate field '" + name + "'")
			}
			if len(seen) < len(few) {
				seen = append(seen, name)
			} else {
				if many == nil {
					many = map[string]bool{}
				}
				many[name] = true
			}
			return checkKeys(value)
		})
		return err
	}
	return nil
}
