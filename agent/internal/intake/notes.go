package intake

// Notes are what happened to an event on its way in, beside being taken as it was.
type Notes struct {
	Text      bool // invalid UTF-8 or lone surrogates became U+FFFD
	Duplicate bool // of a key that was there twice the last one was kept
	Compacted bool // line breaks between tokens were removed
	Formatted bool // a raw record took the nested shape
	Fields    bool // static fields were added
	MadeID    bool // an event_id was made and written into the event
	Time      timeNote
}

// TimeNote says in a word what was made of the timestamp: "", "no_zone", "missing" or "unreadable".
func (n Notes) TimeNote() string { return timeNotes[n.Time] }

var timeNotes = [...]string{"", "no_zone", "missing", "unreadable"}

// Steps says the same in sentences for people, in the order of the steps.
func (n Notes) Steps() []string {
	var steps []string
	add := func(happened bool, text string) {
		if happened {
			steps = append(steps, text)
		}
	}
	add(n.Text, "invalid UTF-8 or lone surrogates were replaced by U+FFFD")
	add(n.Compacted, "line breaks between tokens were removed")
	add(n.Duplicate, "a key was there twice, the last one was kept")
	add(n.Formatted, "the raw record was given the nested shape")
	add(n.Fields, "static fields of the input were added")
	add(n.MadeID, "it has no event_id, one was made and written into it")
	add(n.Time == timeNoZone, "the timestamp has no zone and was taken for UTC")
	add(n.Time == timeMissing, "there is no timestamp, the time of receipt counts")
	add(n.Time == timeUnreadable, "the timestamp is unreadable or out of range, the time of receipt counts")
	return steps
}
