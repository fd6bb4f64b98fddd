//! Types of the schema that are made from a view's columns rather than from a type in Rust. Their rest is the library's.
use async_graphql::{
    CacheControl, InputType,
    indexmap::IndexMap,
    registry::{Deprecation, MetaEnumValue, MetaField, MetaInputValue, MetaType, Registry},
};

/// The name of a type, which is made if it is not there yet.
pub(crate) fn name_of<T: InputType>(registry: &mut Registry) -> String {
    T::create_type_info(registry);
    T::type_name().into_owned()
}

/// An input object.
pub(crate) fn input_object(name: &str, about: &str, fields: Vec<MetaInputValue>) -> MetaType {
    MetaType::InputObject {
        name: name.to_owned(),
        description: Some(about.to_owned()),
        input_fields: fields.into_iter().map(|it| (it.name.clone(), it)).collect(),
        visible: None,
        inaccessible: false,
        tags: Vec::new(),
        rust_typename: None,
        oneof: false,
        directive_invocations: Vec::new(),
    }
}

/// A field of an input object.
pub(crate) fn input_value(name: String, about: &str, ty: String) -> MetaInputValue {
    MetaInputValue {
        name,
        description: Some(about.to_owned()),
        ty,
        deprecation: Deprecation::NoDeprecated,
        default_value: None,
        visible: None,
        inaccessible: false,
        tags: Vec::new(),
        is_secret: false,
        directive_invocations: Vec::new(),
    }
}

/// An object.
pub(crate) fn output_object<T>(name: &str, about: &str, fields: Vec<MetaField>) -> MetaType {
    MetaType::Object {
        name: name.to_owned(),
        description: Some(about.to_owned()),
        fields: fields.into_iter().map(|it| (it.name.clone(), it)).collect(),
        cache_control: CacheControl::default(),
        extends: false,
        shareable: false,
        resolvable: true,
        inaccessible: false,
        interface_object: false,
        tags: Vec::new(),
        keys: None,
        visible: None,
        is_subscription: false,
        rust_typename: Some(std::any::type_name::<T>()),
        directive_invocations: Vec::new(),
        requires_scopes: Vec::new(),
    }
}

/// A field of an object.
pub(crate) fn output_field(name: String, about: &str, ty: String) -> MetaField {
    MetaField {
        name,
        description: Some(about.to_owned()),
        args: IndexMap::new(),
        ty,
        deprecation: Deprecation::NoDeprecated,
        cache_control: CacheControl::default(),
        external: false,
        requires: None,
        provides: None,
        visible: None,
        shareable: false,
        inaccessible: false,
        tags: Vec::new(),
        override_from: None,
        compute_complexity: None,
        directive_invocations: Vec::new(),
        requires_scopes: Vec::new(),
    }
}

/// An enum.
pub(crate) fn enumeration(name: &str, about: &str, values: Vec<(String, String)>) -> MetaType {
    let value = |(name, about): (String, String)| MetaEnumValue {
        name,
        description: Some(about),
        deprecation: Deprecation::NoDeprecated,
        visible: None,
        inaccessible: false,
        tags: Vec::new(),
        directive_invocations: Vec::new(),
    };
    MetaType::Enum {
        name: name.to_owned(),
        description: Some(about.to_owned()),
        enum_values: values.into_iter().map(value).map(|it| (it.name.clone(), it)).collect(),
        visible: None,
        inaccessible: false,
        tags: Vec::new(),
        rust_typename: None,
        directive_invocations: Vec::new(),
        requires_scopes: Vec::new(),
    }
}

/// `invited_at` as a field: `invitedAt`.
pub(crate) fn lower_camel(name: &str) -> String {
    let upper = upper_camel(name);
    let mut characters = upper.chars();
    characters.next().map_or_else(String::new, |it| it.to_lowercase().chain(characters).collect())
}

/// `invited_at` as a type: `InvitedAt`.
pub(crate) fn upper_camel(name: &str) -> String {
    let word = |it: &str| {
        let mut characters = it.chars();
        let first = characters.next();
        first.map_or_else(String::new, |it| it.to_uppercase().chain(characters).collect())
    };
    name.split('_').map(word).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_have_the_names_of_fields() {
        assert_eq!(
            (lower_camel("invited_at"), upper_camel("invited_at")),
            ("invitedAt".into(), "InvitedAt".into())
        );
        assert_eq!((lower_camel("id"), upper_camel("")), ("id".into(), String::new()));
    }
}
