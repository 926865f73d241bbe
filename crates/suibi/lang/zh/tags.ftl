none-yet = 还没有标签——写一个吧：suibi 买了牛奶 @购物
