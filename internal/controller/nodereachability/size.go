package nodereachability

// smallest is the size that every smaller cluster counts as.
const smallest = 16

// clusterSize rounds a number of nodes up, in steps of a quarter, so that it is
// seldom that another size has to be written to all specs. It returns current if
// that is at most one step too large: a cluster whose nodes come and go at the
// edge of a step would else go to and fro.
func clusterSize(nodes int, current int32) int32 {
	size := int32(smallest)
	for int(size) < nodes {
		size = larger(size)
	}
	if current == larger(size) {
		return current
	}
	return size
}

func larger(size int32) int32 {
	return size + size/4
}
