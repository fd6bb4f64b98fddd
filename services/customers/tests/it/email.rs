//! What is an e-mail address, and when two are the same.
use customers::email::{BYTES_MAX, Email, Invalid, Problem, normal_form, unique};
use proptest::prelude::*;

#[track_caller]
fn same(typed: &str, normal: &str) {
    let email = Email::parse(typed).unwrap_or_else(|why| panic!("{typed:?} is refused: {why:?}"));
    assert_eq!((email.normal(), email.typed()), (normal, typed.trim()));
    assert_eq!((email.unique().kind, email.unique().value.as_str()), ("email", normal));
    assert_eq!(email.unique(), unique(typed));
}

#[track_caller]
fn refused(typed: &str, why: Invalid) {
    assert_eq!(Email::parse(typed), Err(Problem::Invalid(why)), "{typed:?}");
}

#[test]
fn addresses() {
    same("ada@example.com", "ada@example.com");
    same("A@b", "a@b");
    same(" \u{a0}ada@example.com\r\n", "ada@example.com");
    same("ADA.Lovelace+tag@EXAMPLE.co.uk", "ada.lovelace+tag@example.co.uk");
    same("!#$%&'*+/=?^_`{|}~-@1.2", "!#$%&'*+/=?^_`{|}~-@1.2");
    same("a..b@docomo.example", "a..b@docomo.example");
    same("a@xn--bcher-kva.example", "a@xn--bcher-kva.example");
    same("ÄDA@BÜCHER.example", "äda@bücher.example");
    same("用户@例子.公司", "用户@例子.公司");
    same("अजय@डाटा.भारत", "अजय@डाटा.भारत");
}

#[test]
fn one_letter_in_several_forms() {
    same("o\u{308}@x", "\u{f6}@x");
    same("O\u{308}@x", "\u{f6}@x");
    // The Kelvin and the Ångström sign.
    same("\u{212a}@x", "k@x");
    same("\u{212b}@x", "\u{e5}@x");
    // A capital I with a dot keeps its dot.
    same("\u{130}@x", "i\u{307}@x");
    // A sigma at the end of a word has a form of its own.
    same("ΑΣ@x", "ας@x");
    // Accents in either order.
    assert_eq!(normal_form("a\u{323}\u{307}"), normal_form("A\u{307}\u{323}"));
}

#[test]
fn nothing_is_missing() {
    for nothing in ["", " ", "\t\r\n", "\u{3000}\u{2003}"] {
        assert_eq!(Email::parse(nothing), Err(Problem::Missing));
    }
}

#[test]
fn what_is_no_address() {
    refused("ada", Invalid::At);
    refused("a@b@c", Invalid::At);
    refused("@@", Invalid::At);
    refused("@", Invalid::Name);
    refused("@example.com", Invalid::Name);
    for name in ["\"a\"", "a,b", "a:b", "a;b", "a(b)", "a[b]", "a\\b", "mailto:a", "ada<ada"] {
        refused(&format!("{name}@example.com"), Invalid::Name);
    }
    // Becomes a semicolon in normal form.
    refused("a\u{37e}@example.com", Invalid::Name);
    for domain in ["", ".", ".a", "a.", "a..b", "-a", "a-", "a.-b.c", "a_b", "[1.2.3.4]", "a>"] {
        refused(&format!("ada@{domain}"), Invalid::Domain);
    }
}

#[test]
fn what_cannot_be_seen() {
    let hidden = [
        "\0",
        "\u{1}",
        "\n",
        "\u{7f}",
        "\u{85}",
        " ",
        "\u{a0}",
        "\u{ad}",
        "\u{200b}",
        "\u{202e}",
        "\u{feff}",
        "\u{e0041}",
        "\u{fe0f}",
    ];
    for it in hidden {
        refused(&format!("a{it}b@example.com"), Invalid::Invisible);
        refused(&format!("ab@exam{it}ple.com"), Invalid::Invisible);
    }
    refused("Ada Lovelace <ada@example.com>", Invalid::Invisible);
    refused("ada@example.com\u{200b}", Invalid::Invisible);
}

#[test]
fn an_address_has_a_length() {
    let domain = "@example.com";
    let longest = format!("{}{domain}", "a".repeat(BYTES_MAX - domain.len()));
    same(&longest, &longest);
    refused(&format!("a{longest}"), Invalid::TooLong);
    // It is the normal form that counts: here the typed one is longer.
    let letters = (BYTES_MAX - domain.len()) / 2;
    assert!(Email::parse(&format!("{}{domain}", "o\u{308}".repeat(letters))).is_ok());
    refused(&format!("{}{domain}", "o\u{308}".repeat(letters + 1)), Invalid::TooLong);
    let label = "b".repeat(63);
    assert!(Email::parse(&format!("a@{label}.c")).is_ok());
    refused(&format!("a@{label}b.c"), Invalid::Domain);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn a_normal_form_is_its_own(text: String) {
        let normal = normal_form(&text);
        prop_assert_eq!(&normal_form(&normal), &normal);
    }

    /// Marks and letters with unusual cases, where lower case and form C meet.
    #[test]
    fn a_normal_form_is_its_own_also_of_odd_letters(
        text in "[\u{300}-\u{36f}\u{1e00}-\u{1fff}\u{130}\u{131}\u{3a3}\u{212a}\u{212b}A-Za-z.]{0,12}",
    ) {
        let normal = normal_form(&text);
        prop_assert_eq!(&normal_form(&normal), &normal);
        prop_assert_eq!(normal_form(&text.to_lowercase()), normal_form(&text));
    }

    #[test]
    fn anything_is_an_address_or_not(text: String) {
        if let Ok(email) = Email::parse(&text) {
            prop_assert!(email.normal().len() <= BYTES_MAX);
            prop_assert!(!email.typed().contains('\0'));
            // What was accepted once is so again: what is kept as typed, and what is held.
            prop_assert_eq!(&Email::parse(email.typed()), &Ok(email.clone()));
            let normal = Email::parse(email.normal());
            prop_assert_eq!(normal.map(|it| it.unique()), Ok(email.unique()));
        }
    }

    #[test]
    fn case_and_white_space_around_do_not_matter(name in "[a-zäö0-9.+-]{1,20}") {
        let typed = format!("{name}@example.com");
        let again = format!(" {}\t", typed.to_uppercase());
        prop_assert_eq!(
            Email::parse(&typed).map(|it| it.unique()),
            Email::parse(&again).map(|it| it.unique())
        );
    }
}
