//! Every schema ever committed, written with and then read by today's types: what the gate promises on paper.
use apache_avro::{
    Schema,
    schema::{Name, NamesRef, ResolvedSchema, UuidSchema},
    types::Value,
    writer::datum::GenericDatumWriter,
};
use proptest::prelude::*;
use shared_events::{
    Decoded, Message, WriterSchema, committed,
    customers::{AskCustomerState, CustomerCommand, CustomerEvent, CustomerState},
    fleet::{Reply, RepublishEvents},
    known_schema,
};

/// Chooses among the values of a schema: the numbers are used up one after another.
struct Choice<'a> {
    names: &'a NamesRef<'a>,
    numbers: std::slice::Iter<'a, u8>,
}

impl Choice<'_> {
    fn below(&mut self, end: usize) -> usize {
        usize::from(*self.numbers.next().unwrap_or(&0)) % end
    }

    fn value(&mut self, schema: &Schema) -> Value {
        match schema {
            Schema::Int => Value::Int(i32::try_from(self.below(256)).unwrap() - 128),
            Schema::Long => Value::Long(i64::try_from(self.below(256)).unwrap() << 40),
            Schema::TimestampMicros => Value::TimestampMicros(1_800_000_000_000_000),
            Schema::Boolean => Value::Boolean(self.below(2) == 1),
            Schema::String => Value::String("ä".repeat(self.below(9))),
            Schema::Uuid(UuidSchema::String) => Value::Uuid(uuid::Uuid::from_u128(7)),
            Schema::Null => Value::Null,
            Schema::Ref { name } => {
                let name: &Name = name;
                self.value(self.names[name])
            }
            Schema::Enum(it) => {
                let word = self.below(it.symbols.len());
                Value::Enum(u32::try_from(word).unwrap(), it.symbols[word].clone())
            }
            Schema::Array(it) => {
                let items = self.below(4);
                Value::Array((0..items).map(|_| self.value(&it.items)).collect())
            }
            Schema::Union(it) => {
                let variant = self.below(it.variants().len());
                let value = self.value(&it.variants()[variant]);
                Value::Union(u32::try_from(variant).unwrap(), Box::new(value))
            }
            Schema::Record(it) => {
                let fields = it.fields.iter();
                Value::Record(fields.map(|it| (it.name.clone(), self.value(&it.schema))).collect())
            }
            other => panic!("no message has a {other:?}; teach this test about it"),
        }
    }
}

/// Whether the family knows the record, and reads it; what it read survives being written today.
fn reads<M: Message>(writer: &WriterSchema, datum: &[u8]) -> bool {
    match M::decode(writer, datum) {
        Ok(Decoded::FromTheFuture) => false,
        Ok(Decoded::Messages(messages)) => {
            for message in messages {
                let mut datum = Vec::new();
                message.encode(&mut datum).unwrap();
                let today = known_schema(message.record().fingerprint()).unwrap();
                assert_eq!(M::decode(today, &datum), Ok(Decoded::Messages(vec![message])));
            }
            true
        }
        Err(error) => panic!("{}: {error}", writer.json()),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_version_is_read_by_one_family(numbers in proptest::collection::vec(any::<u8>(), 40)) {
        for it in committed() {
            let schema = Schema::parse_str(it.json).unwrap();
            let resolved = ResolvedSchema::try_from(&schema).unwrap();
            let mut choice = Choice { names: resolved.get_names(), numbers: numbers.iter() };
            let value = choice.value(&schema);
            let encoder = GenericDatumWriter::builder(&schema).build().unwrap();
            let datum = encoder.write_value_to_vec(value).unwrap();
            let writer = WriterSchema::parse(it.json).unwrap();
            let readers = [
                reads::<CustomerCommand>(&writer, &datum),
                reads::<CustomerEvent>(&writer, &datum),
                reads::<AskCustomerState>(&writer, &datum),
                reads::<CustomerState>(&writer, &datum),
                reads::<Reply>(&writer, &datum),
                reads::<RepublishEvents>(&writer, &datum),
            ];
            prop_assert_eq!(readers.iter().filter(|it| **it).count(), 1, "{}", writer.name());
        }
    }
}
