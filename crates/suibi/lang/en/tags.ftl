none-yet = no tags yet — write one: suibi bought milk @shop
