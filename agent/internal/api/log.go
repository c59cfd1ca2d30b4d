package api

import (
	"fmt"
	"net/http"

	"github.com/adrian207/siemd/agent/internal/supervisor"
)

// logRoutes are about the log itself.
var logRoutes = []route{
	{method: "GET", path: prefix + "/wal", scope: scopeRead, brief: "The write-ahead log: its files and cursors.", answer: supervisor.LogReport{}, serve: func(s *Server, c *call) error {
		r, err := s.agent.LogReport()
		if err != nil {
			return err
		}
		return c.json(http.StatusOK, r)
	}},
	{
		method: "POST", path: prefix + "/orphans/{name}/purge", scope: scopeWrite, brief: "Forget an output that is gone, and what waits for it.", answer: orphanAnswer{},
		status: []int{404, 409}, serve: (*Server).purgeOrphan,
	},
}

type orphanAnswer struct {
	Message string `json:"message" doc:"For people."`
	GivenUp uint64 `json:"events_given_up" doc:"Pending and failed ones."`
}

func (s *Server) purgeOrphan(c *call) error {
	var a orphanAnswer
	name := c.PathValue("name")
	err := s.agent.Audited(c.who.Actor, "purge orphan", name, func() (string, error) {
		var err error
		a.GivenUp, err = s.agent.PurgeOrphan(name)
		a.Message = fmt.Sprintf("%d events were given up", a.GivenUp)
		return a.Message, err
	})
	if err != nil {
		return err
	}
	return c.json(http.StatusOK, a)
}
