//! How many rows of a view there are, by what they are like: types made from the columns of the view.
use crate::{
    registering::{enumeration, lower_camel, name_of, output_field, output_object, upper_camel},
    scalars,
};
use async_graphql::{
    Context, ContextSelectionSet, InputType, InputValueError, InputValueResult, Name, OutputType,
    Positioned, ServerResult, Value as Given,
    parser::types::Field,
    registry::{MetaTypeId, Registry},
    resolver_utils::{ContainerType, resolve_container},
};
use functions::{Column, ColumnKind, View};
use shell::reads::{Count, Value};
use std::{borrow::Cow, marker::PhantomData};

/// A column of `V` that an index has.
pub(crate) struct FieldOf<V> {
    pub(crate) column: &'static str,
    view: PhantomData<fn() -> V>,
}

impl<V: View> InputType for FieldOf<V> {
    type RawValueType = Self;

    fn type_name() -> Cow<'static, str> {
        format!("{}Field", upper_camel(V::TABLE)).into()
    }

    fn create_type_info(registry: &mut Registry) -> String {
        registry.create_input_type::<Self, _>(MetaTypeId::Enum, |_| {
            let value =
                |it: &Column| (it.name.to_uppercase(), format!("`{}`.", lower_camel(it.name)));
            let values = indexed::<V>().iter().map(value).collect();
            enumeration(&Self::type_name(), "What rows can be ordered and counted by.", values)
        })
    }

    fn parse(value: Option<Given>) -> InputValueResult<Self> {
        let name = match &value {
            Some(Given::Enum(name)) => name.as_str(),
            Some(Given::String(name)) => name,
            _ => "",
        };
        let column = indexed::<V>().into_iter().find(|it| it.name.to_uppercase() == name);
        let column = column.ok_or_else(|| {
            InputValueError::custom(format!("rows are not ordered or counted by {name:?}"))
        })?;
        Ok(Self { column: column.name, view: PhantomData })
    }

    fn to_value(&self) -> Given {
        Given::Enum(Name::new(self.column.to_uppercase()))
    }

    fn as_raw_value(&self) -> Option<&Self> {
        Some(self)
    }
}

/// The columns that an index has, and the key.
fn indexed<V: View>() -> Vec<Column> {
    let indexes = V::indexes();
    let is_indexed = |name: &str| {
        name == V::KEY || indexes.iter().any(|it| it.columns.iter().any(|it| it.0 == name))
    };
    V::columns().into_iter().filter(|it| is_indexed(it.name)).collect()
}

/// A number of rows, and what they have in common.
pub(crate) struct CountOf<V> {
    count: Count,
    by: Vec<&'static str>,
    view: PhantomData<fn() -> V>,
}

impl<V: View> CountOf<V> {
    /// Counted by these columns.
    pub(crate) fn new(count: Count, by: Vec<&'static str>) -> Self {
        Self { count, by, view: PhantomData }
    }
}

impl<V: View> OutputType for CountOf<V> {
    fn type_name() -> Cow<'static, str> {
        format!("{}Count", upper_camel(V::TABLE)).into()
    }

    fn create_type_info(registry: &mut Registry) -> String {
        registry.create_output_type::<Self, _>(MetaTypeId::Object, |registry| {
            let mut fields = vec![output_field(
                "count".to_owned(),
                "How many they are.",
                <i64 as InputType>::create_type_info(registry),
            )];
            for column in indexed::<V>() {
                let name = lower_camel(column.name);
                let about = format!("What they have as `{name}`, if they are counted by it.");
                fields.push(output_field(name, &about, scalar(&column, registry)));
            }
            let about = "A number of rows, and what they have in common.";
            output_object::<Self>(&Self::type_name(), about, fields)
        })
    }

    async fn resolve(
        &self,
        context: &ContextSelectionSet<'_>,
        _: &Positioned<Field>,
    ) -> ServerResult<Given> {
        resolve_container(context, self).await
    }
}

impl<V: View> ContainerType for CountOf<V> {
    async fn resolve_field(&self, context: &Context<'_>) -> ServerResult<Option<Given>> {
        let name = context.item.node.name.node.as_str();
        if name == "count" {
            return Ok(Some(self.count.rows.into()));
        }
        let Some(column) = indexed::<V>().into_iter().find(|it| lower_camel(it.name) == name)
        else {
            return Ok(None);
        };
        let value = self.by.iter().position(|it| *it == column.name);
        let value = value.and_then(|it| self.count.values.get(it)?.as_ref());
        Ok(Some(value.map_or(Given::Null, |it| given(&column, it))))
    }
}

/// The type of a column's values in the schema; it is made if it is not there yet.
pub(crate) fn scalar(column: &Column, registry: &mut Registry) -> String {
    match (column.texts, column.kind) {
        // The type of its output, whose names are the texts.
        (Some(texts), _) => texts.name.to_owned(),
        (None, ColumnKind::Uuid) => name_of::<scalars::Uuid>(registry),
        (None, ColumnKind::Text) => name_of::<String>(registry),
        (None, ColumnKind::Integer) => name_of::<i64>(registry),
        (None, ColumnKind::Boolean) => name_of::<bool>(registry),
        (None, ColumnKind::Instant) => name_of::<scalars::Instant>(registry),
        (None, ColumnKind::Date) => name_of::<scalars::Date>(registry),
    }
}

/// A value as answers have it.
fn given(column: &Column, value: &Value) -> Given {
    match value {
        Value::Integer(it) => (*it).into(),
        Value::Boolean(it) => (*it).into(),
        Value::Text(it) if column.texts.is_some() => Given::Enum(Name::new(it)),
        Value::Uuid(_) | Value::Text(_) | Value::Instant(_) | Value::Date(_) => {
            value.to_string().into()
        }
    }
}
