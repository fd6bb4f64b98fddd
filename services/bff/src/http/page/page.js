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

# Goes on until it is stopped: send the mutation from another page meanwhile.
subscription Follow {
  customersChanged {
    id
    customer { email status version }
    position
  }
}
`;

// Subscriptions: graphql-transport-ws, as much of it as a page needs, on a socket for each.
const live = {
  subscribe(payload, sink) {
    const address = new URL("/graphql", location);
    address.protocol = address.protocol.replace("http", "ws");
    const socket = new WebSocket(address, "graphql-transport-ws");
    const say = (message) => socket.send(JSON.stringify(message));
    const end = () => { socket.onclose = null; socket.close(1000); };
    socket.onopen = () => say({ type: "connection_init" });
    socket.onclose = ({ code, reason }) => sink.error(new Error(`the connection ended: ${code} ${reason}`));
    socket.onmessage = ({ data }) => {
      const { type, payload: told } = JSON.parse(data);
      if (type === "connection_ack") say({ id: "1", type: "subscribe", payload });
      if (type === "next") sink.next(told);
      if (type === "error") { end(); sink.error(told); }
      if (type === "complete") { end(); sink.complete(); }
    };
    return end;
  },
};

ReactDOM.createRoot(document.getElementById("graphiql")).render(
  React.createElement(GraphiQL, {
    fetcher: GraphiQL.createFetcher({ url: "/graphql", wsClient: live }),
    defaultQuery: example,
    defaultEditorToolsVisibility: true,
    shouldPersistHeaders: true,
  }),
);
