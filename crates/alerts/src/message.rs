//! Notices as the receivers of webhooks take them.

mod json;
mod slack;
#[cfg(test)]
mod tests;

pub(crate) use self::{json::json, slack::slack};

/// Who sends: what messages say of the node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sender {
    /// The node's name.
    pub node: String,
    /// Address of the page that shows its performance, for people; none if there is none that they can open.
    pub page_url: Option<String>,
}
