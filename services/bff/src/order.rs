//! `orderBy`: the orders of a view's rows, made from the columns of the view.
use crate::{
    counts::FieldOf,
    registering::{input_object, input_value, name_of, upper_camel},
};
use async_graphql::{
    Enum, InputType, InputValueError, InputValueResult, Value as Given,
    registry::{MetaTypeId, Registry},
};
use functions::View;
use shell::reads::{Nulls, Order};
use std::{borrow::Cow, marker::PhantomData};

/// A column that rows of `V` are ordered by.
pub(crate) struct OrderBy<V> {
    /// In the words of the shell.
    pub(crate) order: Order,
    view: PhantomData<fn() -> V>,
}

/// Which values come first.
#[derive(Clone, Copy, PartialEq, Eq, Enum)]
enum OrderDirection {
    /// The least.
    Asc,
    /// The greatest.
    Desc,
}

/// Where rows without a value come.
#[derive(Clone, Copy, PartialEq, Eq, Enum)]
enum OrderNulls {
    /// Before all others.
    First,
    /// After all others.
    Last,
}

impl<V: View> InputType for OrderBy<V> {
    type RawValueType = Self;

    fn type_name() -> Cow<'static, str> {
        format!("{}Order", upper_camel(V::TABLE)).into()
    }

    fn create_type_info(registry: &mut Registry) -> String {
        registry.create_input_type::<Self, _>(MetaTypeId::InputObject, |registry| {
            let name = Self::type_name();
            let (direction, nulls) =
                (name_of::<OrderDirection>(registry), name_of::<OrderNulls>(registry));
            let fields = vec![
                input_value(
                    "field".to_owned(),
                    "What they are ordered by.",
                    FieldOf::<V>::create_type_info(registry),
                ),
                input_value(
                    "direction".to_owned(),
                    "Which values come first; the least if absent.",
                    direction,
                ),
                input_value(
                    "nulls".to_owned(),
                    "Where rows without a value come; if absent, as if it were the greatest value.",
                    nulls,
                ),
            ];
            input_object(&name, "A field that rows are ordered by.", fields)
        })
    }

    fn parse(value: Option<Given>) -> InputValueResult<Self> {
        let Some(Given::Object(mut fields)) = value else {
            return Err(InputValueError::expected_type(value.unwrap_or_default()));
        };
        let field = FieldOf::<V>::parse(fields.swap_remove("field"));
        let column = field.map_err(InputValueError::propagate)?.column;
        let direction = Option::<OrderDirection>::parse(fields.swap_remove("direction"))
            .map_err(InputValueError::propagate)?;
        let nulls = Option::<OrderNulls>::parse(fields.swap_remove("nulls"))
            .map_err(InputValueError::propagate)?;
        let mut order = match direction {
            None | Some(OrderDirection::Asc) => Order::ascending(column),
            Some(OrderDirection::Desc) => Order::descending(column),
        };
        match nulls {
            None => {}
            Some(OrderNulls::First) => order.nulls = Nulls::First,
            Some(OrderNulls::Last) => order.nulls = Nulls::Last,
        }
        Ok(Self { order, view: PhantomData })
    }

    fn to_value(&self) -> Given {
        // Only default values are ever written, and this has none.
        Given::Null
    }

    fn as_raw_value(&self) -> Option<&Self> {
        Some(self)
    }
}
