//! Cycles in a graph: which nodes can reach each other.

/// For each node the number of its group: two nodes are in one group if each can be reached from the other.
///
/// `graph` lists the nodes that each node leads to. Tarjan's algorithm, without recursion, because the graphs of a
/// repository are as deep as its author likes.
pub fn groups(graph: &[Vec<usize>]) -> Vec<usize> {
    const NEW: usize = usize::MAX;
    let mut order = vec![NEW; graph.len()];
    let mut lowest = vec![0; graph.len()];
    let mut group = vec![NEW; graph.len()];
    let (mut visited, mut groups) = (0, 0);
    let mut open: Vec<usize> = vec![];
    for start in 0..graph.len() {
        if order[start] != NEW {
            continue;
        }
        // Node, and which of its neighbours comes next.
        let mut path = vec![(start, 0)];
        while let Some((node, next)) = path.pop() {
            if next == 0 {
                order[node] = visited;
                lowest[node] = visited;
                visited += 1;
                open.push(node);
            }
            if let Some(&neighbour) = graph[node].get(next) {
                path.push((node, next + 1));
                if order[neighbour] == NEW {
                    path.push((neighbour, 0));
                } else if group[neighbour] == NEW {
                    lowest[node] = lowest[node].min(order[neighbour]);
                }
                continue;
            }
            if lowest[node] == order[node] {
                while let Some(member) = open.pop() {
                    group[member] = groups;
                    if member == node {
                        break;
                    }
                }
                groups += 1;
            }
            if let Some((parent, _)) = path.last() {
                lowest[*parent] = lowest[*parent].min(lowest[node]);
            }
        }
    }
    group
}

/// A shortest way from `start` along the graph back to `start`, both ends included; `None` if there is none.
pub fn cycle_through(graph: &[Vec<usize>], start: usize) -> Option<Vec<usize>> {
    let mut came_from = vec![None; graph.len()];
    let mut queue = std::collections::VecDeque::from([start]);
    while let Some(node) = queue.pop_front() {
        for &next in &graph[node] {
            if next == start {
                let mut way = vec![start, node];
                let mut at = node;
                while let Some(before) = came_from[at] {
                    way.push(before);
                    at = before;
                }
                way.reverse();
                return Some(way);
            }
            if came_from[next].is_none() {
                came_from[next] = Some(node);
                queue.push_back(next);
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn nodes_on_a_cycle_are_one_group() {
        let graph = vec![vec![1], vec![2], vec![0, 3], vec![4], vec![3], vec![]];
        let group = groups(&graph);
        assert!(group[0] == group[1] && group[1] == group[2]);
        assert!(group[3] == group[4] && group[3] != group[0]);
        assert!(group[5] != group[0] && group[5] != group[3]);
        assert_eq!(cycle_through(&graph, 0), Some(vec![0, 1, 2, 0]));
        assert_eq!(cycle_through(&graph, 4), Some(vec![4, 3, 4]));
        assert_eq!(cycle_through(&graph, 5), None);
        assert_eq!(cycle_through(&[vec![0]], 0), Some(vec![0, 0]));
    }

    #[test]
    fn long_chains_do_not_overflow_the_stack() {
        let last = 200_000;
        let graph: Vec<Vec<usize>> = (0..=last).map(|node| vec![(node + 1) % (last + 1)]).collect();
        assert!(groups(&graph).iter().all(|group| *group == 0));
    }

    proptest! {
        #[test]
        fn groups_are_those_that_reach_each_other(edges in proptest::collection::vec((0usize..8, 0usize..8), 0..20)) {
            let mut graph = vec![vec![]; 8];
            for (from, to) in &edges {
                graph[*from].push(*to);
            }
            // Warshall's way, which shares nothing with Tarjan's.
            let mut reach = [[false; 8]; 8];
            for (from, to) in &edges {
                reach[*from][*to] = true;
            }
            for through in 0..8 {
                for from in 0..8 {
                    for to in 0..8 {
                        reach[from][to] |= reach[from][through] && reach[through][to];
                    }
                }
            }
            let group = groups(&graph);
            for one in 0..8 {
                for other in 0..8 {
                    let together = one == other || (reach[one][other] && reach[other][one]);
                    prop_assert_eq!(group[one] == group[other], together);
                }
                let cycle = cycle_through(&graph, one);
                prop_assert_eq!(cycle.is_some(), reach[one][one]);
                if let Some(way) = cycle {
                    prop_assert!(way.first() == Some(&one) && way.last() == Some(&one));
                    prop_assert!(way.windows(2).all(|pair| graph[pair[0]].contains(&pair[1])));
                }
            }
        }
    }
}
