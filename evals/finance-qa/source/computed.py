"""The benchmark's computed items: numbers apart from those of datasets/, slips as the wrong options."""

from fractions import Fraction as F

ITEMS = []


def item(name, topic, unit, right, wrong, zh, en, part="test"):
    """Register one item; `right` and `wrong` are exact, `unit` says how an amount is written."""
    ITEMS.append((name, topic, unit, F(right), [F(w) for w in wrong], zh, en, part))


def pct(text):
    """`"2.5"` percent as a fraction of one."""
    return F(text) / 100


item("calc-simple-interest", "savings", "money", 3700 * pct("2.2") * 5, [3700 * pct("2.2"), 3700 * (1 + pct("2.2") * 5), 3700 * pct("2.2") * 6],
     "王阿姨将3700元存了五年，利息不再生息，每年利率2.2%，她总共拿到利息",
     "Mrs Wang leaves $3,700 in an account for five years at 2.2% a year, paid on the original sum only. Her total interest is")
item("calc-simple-years", "savings", "years", 4, [3, 5, 8],
     "李先生以5%的单利借出8500元，收到利息1700元，这笔钱借了多久？",
     "Mr Lee lends $8,500 at 5% simple interest and receives $1,700 of interest. How long was the loan?")
item("calc-compound-two-years", "savings", "money", 4500 * pct(112) ** 2, [4500 * pct(124), 4500 * pct(112), 4500 * pct(112) ** 3],
     "4500元投资产品，每年收益12%且滚入下一年，两年之后变成",
     "A sum of $4,500 gains 12% each year and the gains stay invested. Two years on it has become")
item("calc-compound-minus-simple", "savings", "money", 20000 * pct(7) ** 2, [20000 * pct(7), 20000 * pct(14), 20000 * pct(7) / 2],
     "同样20000元、年利率7%、存两年，复利比单利多得利息",
     "On $20,000 at 7% for two years, how much more interest does compounding give than simple interest?")
item("calc-present-one-year", "savings", "money", F(8400) / pct(105), [8400 * pct(105), 8400 * pct(95), 8400 - 5],
     "一年后可收回8400元，若要求回报5%，这笔钱今天值",
     "A claim pays $8,400 one year from now. If 5% is required, today it is worth")
item("calc-present-two-years", "savings", "money", F(24200) / pct(110) ** 2, [F(24200) / pct(110), F(24200) / pct(120), 24200 * pct(80)],
     "两年后到账24200元，按每年10%折算，今天相当于",
     "Money of $24,200 arrives two years from now. Brought back at 10% a year it equals, today,")
item("calc-endless-scholarship", "savings", "money", F(2100) / pct(7), [2100 / pct(10), 2100 * pct(107), 2100 * 7],
     "校友会想无限期地每年发2100元助学金，基金每年赚7%，需要捐入",
     "Alumni want to give a $2,100 grant every year without end from capital earning 7%. They must donate")
item("calc-doubling", "savings", "years", 24, [36, 12, 33],
     "一笔钱每年复利增长3%，粗略估计翻一番需要",
     "A sum grows 3% a year, compounded. Roughly how long does it take to become twice as large?")
item("calc-real-return", "savings", "percent", "1.3", ["6.5", "3.9", "2.6"],
     "理财一年赚了3.9%，而物价涨了2.6%，剔除物价因素大约赚了",
     "An investment made 3.9% in a year in which prices went up 2.6%. After inflation it made about")
item("calc-loan-first-payment", "loans", "money", F(54000, 18) + 54000 * pct("0.5"), [F(54000, 18), 54000 * pct("0.5"), F(54000, 18) + F(54000, 18) * pct("0.5")],
     "借54000元，每月归还一样多的本金，18个月还完，月息0.5%，第一期共付",
     "A borrower takes $54,000 and returns the same principal monthly over 18 months at 0.5% a month. Instalment one is")
item("calc-loan-second-payment", "loans", "money", 2000 + 22000 * pct("0.5"), [2000 + 24000 * pct("0.5"), 2000, 2000 + 20000 * pct("0.5")],
     "24000元借款分12个月归还，每月本金2000元，月息0.5%按余额计，第二个月共还",
     "A $24,000 loan returns $2,000 of principal monthly plus 0.5% on what is still owed. The second month costs")
item("calc-down-payment", "loans", "money", 900000 * pct(35), [900000 * pct(65), 900000 * pct(30), 900000 * pct(25)],
     "住房总价900000元，最多可贷65%，购房人至少自备",
     "A home costs $900,000 and lenders finance 65% at most. The buyer needs at least")
item("calc-debt-burden", "loans", "percent", 36, [64, 18, 24],
     "陈女士每月到手12500元，房贷3300元、车贷1200元，还债占收入的",
     "Ms Chen takes home $12,500 a month and pays $3,300 on a mortgage and $1,200 on a car. Debt takes")
item("calc-coupon-half-year", "bonds", "money", F(10000) * pct("4.6") / 2, [10000 * pct("4.6"), 10000 * pct("2.6"), 10000 * pct("4.6") / 4],
     "面值10000元、票息4.6%、半年付一次利息，每次付",
     "A bond of $10,000 carries a 4.6% coupon paid twice a year. Each payment is")
item("calc-yield-on-price", "bonds", "percent", F(36, 100) * 100 / 9, ["3.6", "3.24", "4.6"],
     "百元面值的债券一年派息3.6元，眼下90元就能买到，只看利息的收益率是",
     "A $100 bond pays $3.60 of interest a year and now costs $90. Counting interest alone it yields")
item("calc-zero-one-year", "bonds", "money", F(1000) / pct(125), [1000 * pct(75), 1000 * pct(125), 1000 - 25],
     "一年后兑付1000元、中间没有利息的票据，若收益率高达25%，售价为",
     "A note repays $1,000 after a year with no interest on the way. At a yield of 25% it sells for")
item("calc-duration-loss", "bonds", "percent", "2.8", ["0.4", "7", "28"],
     "组合的修正久期是7，利率突然上调0.4个百分点，市值约缩水",
     "A portfolio has modified duration 7 and rates jump by 0.4 points. It loses roughly")
item("calc-pe", "stocks", "number", 18, [54, 9, 21],
     "一家企业每股赚3元，而股票卖54元，它的P/E是",
     "A firm makes $3 for every share and the share sells at $54. Its P/E equals")
item("calc-price-from-pe", "stocks", "money", 15 * F("2.4"), [F(15) / F("2.4"), 15 + F("2.4"), 15 * F("4.2")],
     "同行市盈率普遍为15倍，某公司每股盈利2.4元，照此估算的股价是",
     "Peers trade at 15 times earnings. A company earning $2.40 per share would then be priced at")
item("calc-pb", "stocks", "number", "1.4", ["0.71", "2.8", "6"],
     "账面上每股净资产15元的银行股，市场报价21元，P/B为",
     "A bank share has $15 of net assets behind it and is quoted at $21. Its P/B is")
item("calc-yield-dividend", "stocks", "percent", "3.5", ["7", "1.75", "35"],
     "张三以18元买入股票，一年收到0.63元现金红利，股利回报为",
     "Sam pays $18 for a share and collects $0.63 of dividends in a year. The dividend return is")
item("calc-market-value", "stocks", "yi", 84, [12, 19, 58],
     "公司共有7亿股，每股12元，总市值是",
     "A company has 700 million shares at $12. Its market value is")
item("calc-trade-profit", "stocks", "money", 300 * F("2.5") - 40, [300 * F("2.5"), 300 * F("2.5") + 40, 300 * F("1.5") - 40],
     "以14元买进300股，16.5元全部卖出，来回费用共40元，净赚",
     "A trader buys 300 shares at $14, sells them at $16.50 and pays $40 of costs in all. The net gain is")
item("calc-fund-units", "funds", "number", 8000, [10000, 12500, 8200],
     "10250元申购基金，费用250元先扣除，其余按净值1.25元成交，得到份额",
     "Of $10,250 sent to a fund, $250 is taken as a fee and the rest buys units at $1.25. The units received are")
item("calc-fund-cash-out", "funds", "money", 3300 * F("1.4") * pct(99), [3300 * F("1.4"), 3300 * F("1.4") * pct(101), 3300 * F("1.4") * pct(90)],
     "卖出3300份基金，成交净值1.4元，费用按成交额1%扣，最后收到",
     "Someone cashes in 3,300 units priced at $1.40 and 1% of the sum is kept as a fee. What arrives is")
item("calc-fund-gain", "funds", "percent", 16, ["13.79", 8, "11.6"],
     "年初净值1.25元的基金，年底升至1.45元，全年涨幅是",
     "A fund starts the year at $1.25 a unit and ends it at $1.45. Its gain is")
item("calc-average-cost", "funds", "money", F(2000) / 1800, [F("1.125"), F("1.25"), F(1)],
     "分两次各投1000元，成交净值分别是1元和1.25元，平均每份成本约为",
     "Two sums of $1,000 buy units at $1.00 and at $1.25. The average cost per unit is about")
item("calc-payout-after-share", "insurance", "money", (9200 - 1200) * pct(75), [9200 * pct(75), 9200 - 1200, (9200 - 1200) * pct(25)],
     "住院花了9200元，合同约定先扣1200元，剩下的由保险承担75%，理赔款是",
     "A hospital stay costs $9,200. The plan takes off $1,200 first and then covers 75%. The claim pays")
item("calc-under-insured", "insurance", "money", 40000 * pct(60), [40000, 60000, 40000 * pct(40)],
     "价值100000元的货物只投保60000元，约定按比例赔偿，损失40000元可获赔",
     "Goods worth $100,000 are insured for $60,000 on a pro-rata basis. A loss of $40,000 is paid at")
item("calc-card-instalments", "cards", "money", F(4800, 8) + 4800 * pct("0.7"), [F(4800, 8), 4800 * pct("0.7"), F(4800, 8) + 4800 * pct("5.6")],
     "4800元的账单拆成8期，另按总额每期加收0.7%，每期一共要付",
     "A bill of $4,800 is split in 8, with 0.7% of the whole bill added to each part. Each part comes to")
item("calc-card-daily", "cards", "money", 6600 * pct("0.05") * 12, [6600 * pct("0.5") * 12, 6600 * pct("0.05"), 6600 * pct("0.05") * 30],
     "信用卡取出6600元，每日利息万分之五，12天后归还，利息共",
     "A cardholder draws $6,600 in cash at five hundredths of a percent a day and returns it 12 days later. Interest is")
item("calc-pension-share", "pension", "money", 9300 * pct(8), [9300 * pct(16), 9300 * pct(24), 9300 * pct("0.8")],
     "社保缴费工资9300元，个人负担8%、单位负担16%，从员工工资中扣",
     "Contributions are due on $9,300 of pay: 8% from the worker and 16% from the firm. The worker's wage is cut by")
item("calc-pension-ratio", "pension", "percent", 42, [58, 48, 24],
     "退休前月薪7500元，退休后领3150元，相当于原工资的",
     "A retiree draws $3,150 a month after a salary of $7,500. The pension replaces")
item("calc-roe", "accounting", "percent", 14, [7, 28, 86],
     "股东平均投入账面650万元，全年净赚91万元，ROE为",
     "Shareholders' average funds are $650 thousand and the year's profit is $91 thousand. ROE is")
item("calc-current", "accounting", "number", "1.6", ["0.63", "2.6", "0.6"],
     "一年内可变现资产336万元，一年内到期债务210万元，流动比率等于",
     "Assets convertible within a year are $336 thousand and debts due within it $210 thousand. The current ratio is")
item("calc-gross", "accounting", "percent", 32, [68, "47.06", 16],
     "奶茶店月销售额25000元，原料等直接成本17000元，毛利率为",
     "A tea shop sells $25,000 a month with $17,000 of direct cost. Its gross margin is")
item("calc-equity-left", "accounting", "money", 470000, [830000, 180000, 650000],
     "小公司账上资产650000元，欠款180000元，归属股东的部分是",
     "A small firm has $650,000 of assets and $180,000 of debts. The owners' part is")
item("calc-break-even", "accounting", "number", 550, [275, 366, 1100],
     "面包房每月固定开支6600元，每个蛋糕卖32元、原料20元，收支相抵需卖出个数为",
     "A bakery spends $6,600 a month on fixed costs; a cake sells at $32 and its ingredients cost $20. To cover costs it must sell")
item("calc-depreciation", "accounting", "money", F(66000 - 6000, 6), [11000, 12000, F(66000 + 6000, 6) + 500],
     "货车买价66000元，六年后估计还值6000元，按年平均计提折旧，每年",
     "A van costs $66,000 and should be worth $6,000 after six years. Spread evenly, depreciation a year is")
item("calc-two-brackets", "tax", "money", 2400 + 7000 * pct(18), [47000 * pct(18), 47000 * pct(6), 7000 * pct(18)],
     "税法假设：头40000元按6%，再往上按18%。某人应税收入47000元，税款为",
     "In an imagined tax law the first $40,000 bears 6% and what lies beyond 18%. Someone with $47,000 owes")
item("calc-price-with-tax", "tax", "money", 1500 * pct(113), [1500 * pct(13), 1500 * pct(87), 1500 + 13],
     "标价1500元不含税，适用13%的税率，顾客实付",
     "The tag says $1,500 before a 13% tax. The customer pays")
item("calc-exchange", "macro", "money", 1300 * F("7.1"), [183, 1300 + 7, 1300 * F("1.7")],
     "出国前要换1300欧元，银行按每欧元7.1元卖出，需要准备",
     "A traveller needs 1,300 euros and a bank sells each for $7.10. The traveller must bring")
item("calc-index", "macro", "percent", "2.5", [3, 5, 123],
     "消费价格指数由120点变为123点，这期间物价涨幅是",
     "A cost-of-living index moves from 120 to 123. Prices rose by", "dev")
item("calc-jobless", "macro", "percent", 6, ["6.38", 94, 3],
     "小城有劳动力35000人，其中2100人在找工作而没有工作，失业率为",
     "Of 35,000 townspeople with a job or hunting for one, 2,100 are still hunting. What part is jobless?")
item("calc-mix", "risk", "percent", "4.8", ["4.5", 9, "4.2"],
     "六成资金赚6%，四成资金赚3%，合起来赚",
     "Three fifths of a portfolio gains 6% and two fifths gains 3%. Together the gain is")
item("calc-loss-from-peak", "risk", "percent", 35, ["53.85", 65, "17.5"],
     "基金净值曾到3.2元，后来跌至2.08元，从高处算起跌了",
     "A fund once reached $3.20 a unit and later sank to $2.08. From the top it lost")
item("calc-leverage", "risk", "percent", 30, [15, 10, 45],
     "自有资金10000元、另借10000元一起投资，标的下跌15%，不计利息，自有资金亏损",
     "With $10,000 of own money and $10,000 borrowed, the asset drops 15%. Leaving interest aside, own money shrinks by")
