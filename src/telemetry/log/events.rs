//! Writes the events of `tracing` as log lines.

use super::line::Line;
use std::fmt;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer};

/// The layer that writes one line per event.
pub(super) struct Lines;

impl<S: Subscriber> Layer<S> for Lines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let (Some(output), about) = (super::stderr(), event.metadata()) else { return };
        output.write(*about.level(), about.target(), |line| {
            event.record(&mut Message(line));
            event.record(&mut Values(line));
        });
    }
}

/// The field in which `tracing` passes an event's message.
const MESSAGE: &str = "message";

/// Writes an event's message. It must come before the fields.
struct Message<'l, 'b>(&'l mut Line<'b>);

impl Visit for Message<'_, '_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == MESSAGE {
            self.0.message(&format_args!("{value:?}"));
        }
    }
}

/// Writes an event's fields.
struct Values<'l, 'b>(&'l mut Line<'b>);

impl Visit for Values<'_, '_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() != MESSAGE {
            self.0.value(field.name(), &format_args!("{value:?}"));
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.text(field.name(), value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.number(field.name(), value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.0.bare(field.name(), &value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.0.bare(field.name(), &value);
    }
}
