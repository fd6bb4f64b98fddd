//! The schema: what all contexts offer, put together.
use crate::{
    commands::{CommandQueries, Patience},
    config::Config,
    customers::{
        CustomerMutations, CustomerPages, CustomerPastQueries, CustomerQueries,
        CustomerSubscriptions, Rows, RowsMax,
    },
    errors::Failure,
    history::{EventPages, HistoryQueries},
    operator::{Gate, OperatorMutations, OperatorQueries},
    session::Session,
};
use async_graphql::{
    MergedObject, MergedSubscription, Request, SDLExportOptions, SchemaBuilder, ServerError,
    ServerResult, ValidationResult,
    extensions::{
        Extension, ExtensionContext, ExtensionFactory, NextPrepareRequest, NextValidation,
    },
};
use shell::client::Client;
use std::{any::TypeId, sync::Arc};

/// What can be asked.
#[derive(MergedObject, Default)]
pub struct Query(
    CustomerQueries,
    CustomerPastQueries,
    CommandQueries,
    HistoryQueries,
    OperatorQueries,
);

/// What can be commanded. Each mutation is one command; several in one request are sent one after another.
#[derive(MergedObject, Default)]
pub struct Mutation(CustomerMutations, OperatorMutations);

/// What can be subscribed to.
#[derive(MergedSubscription, Default)]
pub struct Subscription(CustomerSubscriptions);

/// The schema, ready to execute.
pub type Schema = async_graphql::Schema<Query, Mutation, Subscription>;

/// The schema with the client that its resolvers use.
#[must_use]
pub fn schema(config: &Config, client: Client) -> Schema {
    let patience = Patience { command: config.command_time, read: config.read_time };
    let builder = builder()
        .extension(Complexity(config.complexity))
        .extension(Loaders { client: client.clone(), patience })
        .data(client)
        .data(Gate::of(config))
        .data(patience)
        .data(RowsMax::from(config));
    if config.introspection {
        builder.finish()
    } else {
        builder.disable_introspection().disable_suggestions().finish()
    }
}

/// The schema in the schema definition language, sorted; the same as the committed `schema.graphql`.
#[must_use]
pub fn sdl() -> String {
    let options = SDLExportOptions::new()
        .sorted_fields()
        .sorted_arguments()
        .sorted_enum_items()
        .prefer_single_line_descriptions()
        .include_specified_by()
        .use_space_ident();
    let text = builder().finish().sdl_with_options(options);
    text.trim_end().to_owned() + "\n"
}

fn builder() -> SchemaBuilder<Query, Mutation, Subscription> {
    Schema::build(Query::default(), Mutation::default(), Subscription::default())
        .override_output_type_description::<CustomerPages>("A page of customers.")
        .override_output_type_description::<EventPages>("A page of a history.")
}

/// Gives every request look-ups of its own.
#[derive(Clone)]
struct Loaders {
    client: Client,
    patience: Patience,
}

impl ExtensionFactory for Loaders {
    fn create(&self) -> Arc<dyn Extension> {
        Arc::new(self.clone())
    }
}

#[async_graphql::async_trait::async_trait]
impl Extension for Loaders {
    async fn prepare_request(
        &self,
        context: &ExtensionContext<'_>,
        request: Request,
        next: NextPrepareRequest<'_>,
    ) -> ServerResult<Request> {
        let session = request.data.get(&TypeId::of::<Arc<Session>>());
        let request = match session.and_then(|it| it.downcast_ref::<Arc<Session>>()).cloned() {
            Some(session) => {
                request.data(Rows::loader(self.client.clone(), session, self.patience.read))
            }
            None => request,
        };
        next.run(context, request).await
    }
}

/// Refuses operations that are too complex, and says by how much.
#[derive(Clone, Copy)]
struct Complexity(usize);

impl ExtensionFactory for Complexity {
    fn create(&self) -> Arc<dyn Extension> {
        Arc::new(*self)
    }
}

#[async_graphql::async_trait::async_trait]
impl Extension for Complexity {
    async fn validation(
        &self,
        context: &ExtensionContext<'_>,
        next: NextValidation<'_>,
    ) -> Result<ValidationResult, Vec<ServerError>> {
        let valid = next.run(context).await?;
        if valid.complexity <= self.0 {
            return Ok(valid);
        }
        let (points, maximum) = (valid.complexity, self.0);
        let message = format!(
            "the operation costs {points} points, and at most {maximum} are allowed: ask for smaller pages"
        );
        Err(vec![Failure::limit("complexity", maximum, message).into()])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use async_graphql::parser::{
        parse_schema,
        types::{TypeKind, TypeSystemDefinition},
    };

    #[test]
    fn everything_is_described() {
        let mut bare = Vec::new();
        for definition in parse_schema(sdl()).expect("parses").definitions {
            let TypeSystemDefinition::Type(ty) = definition else { continue };
            let ty = ty.node;
            let mut check = |name: &str, description: bool| {
                if !description {
                    bare.push(format!("{}.{name}", ty.name.node));
                }
            };
            check("", ty.description.is_some());
            match &ty.kind {
                TypeKind::Object(it) => {
                    for field in &it.fields {
                        let name = &field.node.name.node;
                        check(name, field.node.description.is_some());
                        // A mutation has one argument, whose type says all.
                        for argument in
                            field.node.arguments.iter().filter(|it| it.node.name.node != "input")
                        {
                            check(&argument.node.name.node, argument.node.description.is_some());
                        }
                    }
                }
                TypeKind::InputObject(it) => {
                    it.fields
                        .iter()
                        .for_each(|it| check(&it.node.name.node, it.node.description.is_some()));
                }
                TypeKind::Enum(it) => {
                    it.values
                        .iter()
                        .for_each(|it| check(&it.node.value.node, it.node.description.is_some()));
                }
                TypeKind::Scalar | TypeKind::Interface(_) | TypeKind::Union(_) => {}
            }
        }
        assert_eq!(bare, Vec::<String>::new());
    }

    #[test]
    fn the_committed_schema_is_this_one() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/schema.graphql");
        if std::env::var_os("UPDATE_SCHEMA").is_some() {
            std::fs::write(path, sdl()).expect("schema.graphql can be written");
        }
        let committed = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            committed == sdl(),
            "services/bff/schema.graphql is not the schema any more: UPDATE_SCHEMA=1 cargo test -p bff rewrites it"
        );
    }
}
