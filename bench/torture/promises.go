package main

var promises = []promise{
	{"what the log acknowledged survives kill -9", "./agent/internal/wal", "^TestKill$"},
	{"what the log acknowledged survives any order of operations and crashes", "./agent/internal/wal", "^TestModel$"},
	{"any failing or lying write, sync, rename or open costs no acknowledged event", "./agent/internal/wal", "^Test(NthFailure|LyingWrite|FailureTakesThoseBehind|OrderOnDisk)$"},
	{"the log opens with any damage, and delivers all that is whole", "./agent/internal/wal", "^Test(Tail|BitFlips|DamagedFiles|StateBefore)$"},
	{"a full disk is survived and loses nothing", "./agent/internal/wal", "^Test(FullDisk|OpensOnAFullDisk|FullBlocks)$"},
	{"the agent on a full disk holds its writers back and goes on by itself", ".", "^TestFullDisk$"},
	{"killed again and again, the agent delivers every event", ".", "^Test(KilledFiveTimesNothingIsMissing|KilledAmongFaults)$"},
	{"every event ends in one state, whatever the target answers", "./agent/internal/delivery", "^TestSimulation$"},
	{"no lying, slow or failing receiver costs an event or repeats one without need", ".", "^Test(FaultMatrix|Failover|EverythingRefused|SuspectsNeedTheProofOfOthers)$"},
	{"a dead or hanging neighbour changes nothing", ".", "^TestHangingNeighbour$"},
	{"no connection cut by a syslog receiver costs an event", "./outputs/syslog", "^TestTorture$"},
	{"no rotation costs or repeats a line (input)", "./inputs/tail", "^Test(RotationStorm|RandomOperations)$"},
	{"no rotation costs or repeats a line (agent)", ".", "^TestRotationStorm$"},
	{"ten thousand files cost no more than one", "./inputs/tail", "^TestManyFiles$"},
	{"edits apply whole or not at all, and touch only what they change", ".", "^TestReloadLeavesTheRestAlone$"},
	{"malformed requests cost nothing", "./agent/internal/api", "^TestMalformedRequests$"},
	{"the ledger adds up under parallel exports while connections come and go", "./agent/internal/api", "^TestLedgerUnderLoad$"},
	{"no secret leaves the agent", ".", "^TestSecretsStaySecret$"},
}
