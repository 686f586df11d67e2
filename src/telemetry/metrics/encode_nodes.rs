//! Encodes the state of the store's nodes for Prometheus.

use super::samples::counter;
use crate::net::endpoint::NodeIndex;
use crate::store::nodes::NodeBoard;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::MetricType;
use std::fmt;

pub(super) fn encode_nodes(board: &NodeBoard, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let help = "Requests retried at another node";
    let mut metric = encoder.encode_descriptor("retries", help, None, MetricType::Counter)?;
    counter(&mut metric, board.retries())?;
    let help = "Attempts to send a request, by node";
    let mut family = encoder.encode_descriptor("node_requests", help, None, MetricType::Counter)?;
    for node in board.nodes() {
        counter(&mut family.encode_family(&[("node", node.name())])?, node.requests())?;
    }
    let help = "Ejections of a node by a worker";
    let mut family = encoder.encode_descriptor("node_ejections", help, None, MetricType::Counter)?;
    for node in board.nodes() {
        counter(&mut family.encode_family(&[("node", node.name())])?, node.ejections())?;
    }
    let help = "Workers that have ejected the node";
    let mut family = encoder.encode_descriptor("node_ejected", help, None, MetricType::Gauge)?;
    for node in board.nodes() {
        let workers = i64::try_from(node.ejecting_workers()).unwrap_or(i64::MAX);
        family.encode_family(&[("node", node.name())])?.encode_gauge(&workers)?;
    }
    let help = "Whether a node answered its last health check";
    let mut family = encoder.encode_descriptor("node_up", help, None, MetricType::Gauge)?;
    for (index, node) in board.nodes().iter().enumerate() {
        let up = i64::from(board.is_up(NodeIndex(index)));
        family.encode_family(&[("node", node.name())])?.encode_gauge(&up)?;
    }
    Ok(())
}
