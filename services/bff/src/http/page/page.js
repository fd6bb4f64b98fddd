// What a fresh visitor sees in the editor.
const example = `# Ctrl-Enter sends the operation under the cursor.
mutation Invite {
  inviteCustomer(input: { email: "ada@example.com" }) {
    commandId
    outcome
    customer { id email status invitedAt }
  }
}

query Customers {
  customers(first: 10) {
    totalCount
    nodes { id email status version }
  }
}
`;

ReactDOM.createRoot(document.getElementById("graphiql")).render(
  React.createElement(GraphiQL, {
    fetcher: GraphiQL.createFetcher({ url: "/graphql" }),
    defaultQuery: example,
    defaultEditorToolsVisibility: true,
    shouldPersistHeaders: true,
  }),
);
