//! What is sent back: a reply, or the answer to a question.
use super::{Answer, Operation, Verdict, refused};
use crate::{
    handler::{
        decider::{Refused, defect},
        fact::{Answered, AnyQuestion},
        received::{Envelope, Received, RequestHash, code},
        stream::Stream,
    },
    panics,
};
use shared_events::{
    Message as _, RecordSchema,
    fleet::{PositionEntry, Reply},
    headers::RestsOn,
};
use std::panic::{AssertUnwindSafe, catch_unwind};
use uuid::Uuid;

impl Operation<'_> {
    /// Answers a question from its stream, as all before it in the batch left it (protocol.md F1). It becomes part of the
    /// batch only in that the partition must still be ours when the batch is written down.
    pub(super) fn answer_question(
        &mut self,
        received: &Received,
        decider: usize,
        question: &dyn AnyQuestion,
        stream: Uuid,
        request_hash: RequestHash,
    ) {
        let Some(head) = self.heads.get_mut(&received.part) else { return };
        let Some(id) = received.envelope.command_id else { return };
        head.asked = true;
        let rests_on = RestsOn { pseq: head.pseq, incarnation: head.row.incarnation };
        let fresh = || Stream::fresh(decider, received.part, self.rules.deciders);
        let state = self.streams.entry(stream).or_insert_with(fresh);
        let version = state.version;
        let answered = if let Some(trouble) = &state.trouble {
            Err(refused(code::NEWER_HISTORY, trouble.clone()))
        } else {
            let answer = || question.answer(state.state.as_ref(), version);
            catch_unwind(AssertUnwindSafe(answer))
                .unwrap_or_else(|panic| Err(defect(panics::told("the answer", panic.as_ref()))))
        };
        // Where there is no answer, a reply says why: nothing is there to tell, or it cannot be told.
        let reply = |why: Option<Refused>| {
            let RestsOn { pseq, incarnation } = rests_on;
            let (context, partition) = (self.rules.context.to_owned(), received.part);
            let (code, message) = why.map(|it| (it.code, it.message)).unzip();
            let reply = Reply {
                command_id: id,
                verdict: if code.is_none() { Verdict::Accepted } else { Verdict::Rejected },
                stream,
                version,
                code,
                message,
                details: None,
                position: vec![PositionEntry { context, incarnation, partition, pseq }],
            };
            let mut datum = Vec::with_capacity(96);
            // It has no text that may not travel, but for a message that quotes one: then none is sent.
            let written = reply.encode(&mut datum);
            written.is_ok().then_some(Answered { record: Reply::schema(), datum })
        };
        let answered = match answered {
            Ok(Some(answered)) => Some(answered),
            Ok(None) => reply(None),
            Err(why) => {
                tracing::warn!(question = %id, %stream, code = why.code, why = why.message, "a question cannot be answered");
                reply(Some(why))
            }
        };
        if let Some(Answered { record, datum }) = answered {
            self.send(&received.envelope, id, request_hash, record, datum, Some(rests_on));
        }
    }

    /// Answers a command.
    pub(super) fn answer(
        &mut self,
        envelope: &Envelope,
        command_id: Uuid,
        request_hash: RequestHash,
        datum: &[u8],
    ) {
        self.send(envelope, command_id, request_hash, Reply::schema(), datum.to_vec(), None);
    }

    fn send(
        &mut self,
        envelope: &Envelope,
        command_id: Uuid,
        request_hash: RequestHash,
        record: &'static RecordSchema,
        datum: Vec<u8>,
        rests_on: Option<RestsOn>,
    ) {
        let Some(to) = envelope.reply_to.clone() else { return };
        let traceparent = envelope.traceparent.clone();
        let answer = Answer { to, command_id, request_hash, traceparent, record, datum, rests_on };
        self.decided.answers.push(answer);
    }
}
